"""Labels that a person gives one after the other, and which row to ask about next.

A detector and rows make a `ranking`; `suggestion` picks rows from it, the answers go back into it
and rank all anew; a `session` keeps every answer on disk in between. Detectors are known by what
they can do alone (`LearnsLabels`), so that faces can build on this.
"""
