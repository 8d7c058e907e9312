"""Cells as people and programs write them, read as numbers, truth values, days or levels.

A column is taken by its `distinct` values. How these are written is told by `notation` for numbers,
by `date_notation`, `number_dates` and `periods` for dates, with what `column_names` say; `reading`
then reads every cell so, with `days` since 1970 and `truth_values`, and `level_names` name levels.
Cells go in, arrays come out; what is made of them is decided in `encoding`.
"""
