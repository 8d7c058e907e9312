"""What the name of a column says of its cells."""

import re

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
TIMES = frozenset(
    {
        "at",
        "created",
        "date",
        "datetime",
        "dt",
        "epoch",
        "epochtime",
        "modified",
        "seen",
        "stamp",
        "time",
        "timestamp",
        "ts",
        "unix",
        "unixtime",
        "updated",
        "when",
    }
)  # fmt: skip - last in the name of a moment, but for what its clock counts in:
CLOCK_UNITS = frozenset(
    {
        "gmt",
        "micros",
        "microseconds",
        "millis",
        "milliseconds",
        "ms",
        "nano",
        "nanos",
        "nanoseconds",
        "ns",
        "s",
        "sec",
        "seconds",
        "us",
        "utc",
    }
)  # fmt: skip
LASTING = frozenset(
    {
        "average",
        "busy",
        "cpu",
        "cycle",
        "delivery",
        "elapsed",
        "execution",
        "flight",
        "idle",
        "latency",
        "lead",
        "life",
        "load",
        "mean",
        "play",
        "process",
        "processing",
        "reaction",
        "response",
        "run",
        "service",
        "total",
        "transit",
        "travel",
        "wait",
        "waiting",
    }
)  # fmt: skip - before "time" in the name of a duration
ID_NAME = re.compile(r"(?:.*[_ .-])?(?:id|uuid|guid)|index|row|row[_ .-]?(?:no|number)|unnamed: 0")
CAMEL_ID = re.compile(r".*[a-z](?:Id|ID)")
NAMING = frozenset(
    {"id", "ids", "key", "nr", "no", "num", "number", "nummer", "ref", "uuid", "guid"}
)
NUMBERED = ("nummer", "nr")  # at the end of German words
OWNERS = frozenset(
    {
        *("account", "client", "customer", "participant", "patient", "person", "subject", "user"),
        *("batch", "lot", "shipment", "wafer"),
        *("device", "imei", "imsi", "mmsi", "serial", "vin"),
        *("kunde", "patientin"),
    }
)
PHONES = frozenset({"fax", "mobile", "msisdn", "phone", "phones", "tel", "telefon", "telephone"})
DIGIT_CODES = PHONES | {
    *("account", "card", "ean", "gtin", "iban", "iccid", "imei", "imsi", "isbn", "konto"),
    *("reference", "siren", "siret", "ssn", "upc"),
}
GLUED = re.compile(r"(?<=.)(?:no|nr|num|number|nummer)$")  # as in cardno
MAY_OWN = frozenset(
    {
        *("campaign", "cell", "charge", "coil", "heat", "job", "meter", "order", "run", "series"),
        *("auftrag", "bestellung", "fahrzeug", "lieferung", "los", "rolle", "schmelze", "serie"),
        "vessel",
    }
)  # or amounts of money, electricity, warmth, length of stay, ...
STATISTICS = frozenset({"avg", "average", "max", "mean", "median", "min", "std", "sum", "total"})
GOES_ON = frozenset({"date", "day", "hour", "month", "period", "quarter", "time", "week", "year"})
PLACES = frozenset(
    {"lat", "latitude", "lon", "long", "lng", "longitude", "coordinate", "coordinates", "gps"}
)
TURNS = frozenset({"azimuth", "bearing", "course", "dir", "direction", "heading", "yaw"})
GERMAN_TURNS = ("richtung", "winkel", "azimut")  # at the end of words
YEAR_NAMES = frozenset({"year", "yr"})


def says_time(name: str) -> bool:
    """Tell whether a column is named as moments are, and not as what lasts.

    >>> [says_time(name) for name in ("createdAt", "event time", "response_time", "balance")]
    [True, True, False, False]
    >>> [says_time(name) for name in ("@timestamp", "ts_ms", "event_time_utc", "run_time_ms")]
    [True, True, True, False]
    """
    words = _words(name)
    while words and words[-1] in CLOCK_UNITS:
        words.pop()
    return bool(words) and words[-1] in TIMES and LASTING.isdisjoint(words)


def says_date(name: str) -> bool:
    """Tell whether a column is named as days are.

    >>> says_date("orderDate"), says_date("order time")
    (True, False)
    """
    return _words(name)[-1:] == ["date"]


def says_identifier(name: str) -> bool:
    """Tell whether a column is named as what only names its rows.

    >>> [says_identifier(name) for name in ("user_id", "userId", "row no", "paid")]
    [True, True, True, False]
    """
    named = ID_NAME.fullmatch(name.strip().lower()) or CAMEL_ID.fullmatch(name.strip())
    return named is not None


def says_group(name: str) -> bool:
    """Tell whether a column is named as what rows belong to, by a number or a key.

    >>> [says_group(name) for name in ("patient_id", "Customer No", "user", "NO", "no of rooms")]
    [True, True, True, False, False]
    >>> [says_group(name) for name in ("lot", "Chargennummer", "lot area", "charge", "avg_lot")]
    [True, True, False, False, False]
    """
    words = [word.lower() for word in WORD.findall(name)]
    if not STATISTICS.isdisjoint(words):
        return False
    if words and (words[-1] in OWNERS or _is_numbered(words[-1])):
        return True
    return says_identifier(name) if len(words) == 1 else bool(words) and words[-1] in NAMING


def says_phone(name: str) -> bool:
    """Tell whether a column is named as phone numbers are.

    >>> says_phone("Phone Number"), says_phone("phone_calls")
    (True, False)
    """
    return not PHONES.isdisjoint(_named(name))


def says_code(name: str) -> bool:
    """Tell whether a column is named as what many digits only name: phones, cards, references.

    >>> [says_code(name) for name in ("IMEI", "card_no", "cardno", "order ref", "account_total")]
    [True, True, True, True, False]
    """
    return says_group(name) or not DIGIT_CODES.isdisjoint(_named(name))


def _named(name: str) -> list[str]:
    """Give the last word of a name that is no word for number or key."""
    words = _words(name)
    while len(words) > 1 and words[-1] in NAMING:
        words.pop()
    return [GLUED.sub("", word) for word in words[-1:]]


def may_say_group(name: str) -> bool:
    """Tell whether what rows belong to may have such a name, and so may quantities.

    >>> may_say_group("Charge"), may_say_group("heat"), may_say_group("charge_amount")
    (True, True, False)
    """
    return not MAY_OWN.isdisjoint(_words(name)[-1:])


def _is_numbered(word: str) -> bool:
    """Tell whether a word is a German one for the number of something, as Chargennummer."""
    return any(word.endswith(end) and len(word) > len(end) + 2 for end in NUMBERED)


def goes_on(name: str) -> bool:
    """Tell whether a column is named as time is, which goes on.

    >>> goes_on("orderMonth"), goes_on("size")
    (True, False)
    """
    return not GOES_ON.isdisjoint(_words(name))


def says_year(name: str) -> bool:
    """Tell whether a column is named as years are.

    >>> says_year("Model Year"), says_year("years")
    (True, False)
    """
    return not YEAR_NAMES.isdisjoint(_words(name))


def says_turn(name: str) -> bool:
    """Tell whether a column is named as angles are that begin anew after a full turn.

    >>> says_turn("wind_dir [deg]"), says_turn("Windrichtung"), says_turn("courses")
    (True, True, False)
    """
    words = _words(name)
    return not TURNS.isdisjoint(words) or any(word.endswith(GERMAN_TURNS) for word in words)


def says_place(name: str) -> bool:
    """Tell whether a column is named as latitudes and longitudes are.

    >>> says_place("start_lat"), says_place("length")
    (True, False)
    """
    return not PLACES.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    return [word.lower() for word in WORD.findall(name)]
