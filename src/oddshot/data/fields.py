"""The field that a table comes from, read off the names of its columns.

The rule: names are cut into words (at capitals, digits and signs); a word speaks for the field in
whose list of `FIELDS` it stands; the field with the most columns wins, of two equals the earlier
one. A table in which fewer than `LEAST` columns, or a share below `LEAST_SHARE`, speak for it is of
the field "other": most tables with codes for names are. The rule sees no value, no label and no
name of a table, and nobody chose fields by results.
"""

import re
from collections import Counter
from collections.abc import Iterable

FIELDS = {
    name: frozenset(words.split())
    for name, words in {
        "medicine": """
            patient bmi heart glucose disease blood cholesterol insulin tumor tumour cancer drug
            dose gene cell viability protein mutation systolic diastolic los drg diagnosis
            hospital clinical pulse covid cases deaths prevalence survived stay biopsy lesion
            platelets hemoglobin symptom concentration expression ecg eeg resp
        """,
        "software": """
            loc wmc rfc cbo dit noc lcom commit commits bug bugs code lines methods method loop
            fanin fanout variables assignments comparisons literals parameters files file memory
            cpu gpu cores thread threads node nodes latency bytes packet packets port attack
            network bandwidth request requests req server iteration resource mem sys story issue
        """,
        "web and text": """
            word words text sentence sentiment polarity noun verb url page pages click clicks
            impressions retweet followers friends tweet comment comments likes views post posts
            title char chars reviews review language reviewer compound neu tag tags doc
        """,
        "sports and games": """
            player team game goals goal opponent played pitcher batter hit hits strikeouts score
            points wins losses season match spin rank atk gold kills league race inning runs
            winner rating
        """,
        "vehicles and transport": """
            vehicle car engine miles mileage mpg bus trip trips route flight fare driver pickup
            dropoff speed passenger passengers traffic road velocity fuel cylinders horsepower
            torque delay departure arrival parking stop bike
        """,
        "housing and cities": """
            bedrooms bathrooms rooms sqft property building buildings lot floor council district
            ward tract block permit census bbl parcel zip zipcode postcode postal address
            neighborhood inspection violation incident beat precinct arrest crime
        """,
        "finance and trade": """
            price prices amount cost costs profit sales revenue discount payment loan credit
            balance income salary account customer order quantity qty shipping expenses fee
            invoice billing transaction transactions open close volume tax spend funds usd
            charge policy claim premium deposit interest amt
        """,
        "education and people": """
            student students grade grades exam school course courses study teacher credits
            question answer employee employees job experience attendance tenure satisfaction age
            gender edad male female education training member
        """,
        "nature": """
            temperature temp humidity wind rain rainfall precipitation snow cloud visibility
            elevation latitude longitude lat lon lng latitud longitud depth ph oxygen
            phosphorous species height tree leaf dbh stems soil crop yield fish water river
            slope season solar weather magnitude air pollution emissions orbital eccentricity
            flux
        """,
        "machines and energy": """
            voltage current power pressure flow sensor vibration frequency rpm load energy
            electricity battery motor pump valve signal snr rms torque capacity watt kwh
            temperature cycle output gas resistance accelerometer gyro acc axis peak led psi
        """,
    }.items()
}
OTHER = "other"
LEAST, LEAST_SHARE = 2, 0.2

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def field_of(columns: Iterable[str]) -> str:
    """Name the field of a table with these columns.

    Parameters
    ----------
    columns
        Their names, in any order.

    Returns
    -------
    str
        A name of `FIELDS`, or "other".

    Examples
    --------
    >>> field_of(["patientAge", "BMI", "glucose_mg", "id"])
    'medicine'
    >>> field_of(["V1", "V2", "V3"])
    'other'
    """
    names = list(columns)
    counts = Counter(field for name in names for field in FIELDS if _words(name) & FIELDS[field])
    if not counts:
        return OTHER
    best = max(FIELDS, key=lambda field: counts[field])  # the first of several
    enough = counts[best] >= LEAST and counts[best] >= LEAST_SHARE * len(names)
    return best if enough else OTHER


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}
