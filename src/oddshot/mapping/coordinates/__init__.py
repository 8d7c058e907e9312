"""Rows of numbers, seen against a support, as calibrated coordinates."""
