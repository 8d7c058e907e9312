"""How messages say numbers of things."""


def counted(number: int, things: str) -> str:
    """Say a number of things, which are named in the plural.

    >>> counted(1, "rows"), counted(1, "known anomalies"), counted(1500, "rows")
    ('1 row', '1 known anomaly', '1,500 rows')
    """
    if number != 1:
        return f"{number:,} {things}"
    one = f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")
    return f"1 {one}"
