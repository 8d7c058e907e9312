import pytest

from oddshot.mapping.cells.column_names import (
    goes_on,
    may_say_group,
    says_date,
    says_group,
    says_identifier,
    says_time,
    says_year,
)


@pytest.mark.parametrize(
    "name",
    [
        *("time", "Timestamp", " ts ", "created_at", "createdAt", "start.date", "unix", "epoch"),
        *("timestamp_ms", "epoch_ms", "event_ts_utc", "@timestamp", "@ts", "unixtime", "timeStamp"),
        *("createdAtMs", "created", "event_dt", "Time (s)", "timeUnixNano", "created_utc"),
    ],
)
def test_names_of_moments(name):
    assert says_time(name)


def test_names_of_days():
    assert says_date("value_date")
    assert not says_date("timestamp")


@pytest.mark.parametrize(
    "name",
    [
        *("response_time", "leadTime", "CPU time", "what", "heat", "update", "lifetime", "cats"),
        *("response_time_ms", "latency_ms", "ms", "utc", "times", "42"),
    ],
)
def test_names_of_what_lasts_or_only_ends_like_a_moment(name):
    assert not says_time(name)


@pytest.mark.parametrize("name", ["id", "User ID", "userId", "uuid", "row_no", "Unnamed: 0"])
def test_names_of_identifiers(name):
    assert says_identifier(name)


@pytest.mark.parametrize("name", ["valid", "humid", "indexed", "rows", "rowing"])
def test_names_that_only_end_like_an_identifier(name):
    assert not says_identifier(name)


@pytest.mark.parametrize("name", ["los", "LOS", "hospital_los", "heart_vessel", "battery cell"])
def test_names_of_quantities_that_may_name_groups(name):
    assert may_say_group(name)
    assert not says_group(name)


@pytest.mark.parametrize("name", ["avg_lot", "total customer", "max user"])
def test_what_is_reckoned_over_groups_names_none(name):
    assert not says_group(name)


def test_words_are_found_in_any_way_of_writing():
    for name in ("order_month", "orderMonth", "Order Month", "ORDER-MONTH"):
        assert goes_on(name)
    assert not goes_on("monthly")
    assert says_year("model_year")
    assert says_year("yr")
    assert not says_year("yearly")
