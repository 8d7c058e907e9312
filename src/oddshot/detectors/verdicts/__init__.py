"""What is made of scores: a threshold, p-values, selections and probabilities.

Raw scores come from what was fitted, by way of the face that inherits `AdjustableThreshold`.
`calibration` holds the scores that promises rest on; `calibrated` makes the promises, and
`adjustable_threshold` chooses by them. Here nobody knows what a score was computed from.
"""
