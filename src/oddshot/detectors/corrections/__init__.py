"""Stages that raise or lower the raw scores of a table, after its head and before `verdicts`.

`fitted.table` calls them one after the other: `solitary` or `second_opinion`, `novelty`,
`lowering`, `few_rows`, `raising`. Each is given mapped rows and scores, and returns scores; none
knows another, or the table that calls it.
"""
