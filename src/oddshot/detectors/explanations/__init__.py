"""Why rows have their scores: contributions of columns, rows to compare with, a way to normal.

`table` asks a fitted table for scores of mixed rows; from these `shapley` computes contributions,
`nearness` finds rows to compare with, `changes` a smallest change. An `explanation` holds what was
found, and `words` say it. Reports read it; nothing goes back to the detector.
"""
