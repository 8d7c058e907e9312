"""From scores to verdicts: calibration of scores and the threshold."""
