"""Seasons of series: `length` finds after what time one starts anew, `usual` what it is like then.

Times and columns of numbers go in; `usual` says of any moment what would be typical there.
"""
