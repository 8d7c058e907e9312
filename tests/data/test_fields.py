import pytest

from oddshot.data.fields import FIELDS, field_of


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        (["patientAge", "BMI", "glucose_mg", "id"], "medicine"),
        (["LOC", "WMC", "cbo"], "software"),
        (["Unit Price", "order qty", "ShippingCost"], "finance and trade"),
        (["home_team_goals", "opponent", "week"], "sports and games"),
        (["bedrooms", "lot_sqft", "zip"], "housing and cities"),
        (["airTemperature", "windSpeed", "humidity2"], "nature"),
        (["V1", "V2", "V3"], "other"),
        (["price", *(f"V{i}" for i in range(3))], "other"),  # one column is too few
        (["price", "cost", *(f"V{i}" for i in range(20))], "other"),  # of too many
        ([], "other"),
    ],
)
def test_a_field_is_read_off_names(columns, field):
    assert field_of(columns) == field
    assert field_of(columns[::-1]) == field


def test_words_are_whole_and_small():
    assert field_of(["priceless", "costume"]) == "other"
    assert all(word == word.lower() for words in FIELDS.values() for word in words)
