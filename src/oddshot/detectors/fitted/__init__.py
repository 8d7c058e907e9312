"""What `FewShotDetector.fit` leaves behind, and scores with: a prior adapted to a table, or images.

Rows from `given` are encoded, mapped, judged by a head, and handed from one of the `corrections` to
the next; out come raw scores, for `verdicts`. Rows are kept as the user gave them, too, for
`explanations` and `drift`.
"""
