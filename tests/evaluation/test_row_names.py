import pytest

from oddshot.evaluation.row_names import RowName


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("few-label", RowName("few-label")),
        ("few-label irrelevant=0.3", RowName("few-label", disturbance="irrelevant=0.3")),
        ("novel-type seen", RowName("novel-type", part="seen")),
        ("novel-type unseen", RowName("novel-type", part="unseen")),
        (
            "leave-domain-out (finance and trade) few-label label-errors=0.1",
            RowName("few-label", domain="finance and trade", disturbance="label-errors=0.1"),
        ),
        ("leave-domain-out (medicine) one-class", RowName("one-class", domain="medicine")),
        ("a protocol of later days", RowName("a protocol of later days")),
    ],
)
def test_a_name_says_all_there_is_to_say(text, name):
    assert RowName.parse(text) == name
    assert str(name) == text
