"""How messages say numbers of things, and what is too long to be shown."""

LONGEST_PATH, SHOWN = 1024, 80


def counted(number: int, things: str) -> str:
    """Say a number of things, which are named in the plural.

    >>> counted(1, "rows"), counted(1, "known anomalies"), counted(1500, "rows")
    ('1 row', '1 known anomaly', '1,500 rows')
    """
    if number != 1:
        return f"{number:,} {things}"
    one = f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")
    return f"1 {one}"


def short(text: str) -> str:
    """Cut a text that is longer than any path, as the content of a file in the place of its name.

    >>> short("sales.csv"), len(short("1,2" * 9999))
    ('sales.csv', 83)
    """
    return text if len(text) <= LONGEST_PATH else f"{text[:SHOWN]}..."
