"""The mapping: any row, seen against its own data set, becomes a fixed-width vector.

Cells are read in `cells`; `encoding` makes numbers of columns; a `support` of rows is drawn from
them, and `coordinates` see any row against it. `mapping` does all that for a table, `windows` makes
a table of a series first. `outside`, `mixtures`, `bonds` and `combinations` tell what coordinates
do not: what a detector raises afterwards. Rows go `cells -> encoding -> support -> coordinates`;
nothing comes back, and `encoding` and `coordinates` know nothing of each other.
"""
