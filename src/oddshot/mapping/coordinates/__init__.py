"""Rows of numbers, seen against a support, as coordinates that mean the same in every table.

Rows are seen in three `spaces`. Each `block` makes coordinates of them: `tails`, `neighbours`,
`isolation`, `shape`, gathered in `label_free`; `labelled` adds those that know anomalies, by
distance, by `levels`, and from `supervised` models. `calibration` gives each its scale, and
`evidence` says what a support tells about them. Arrays come from `encoding`, by way of `support`;
out come coordinates, for heads.
"""
