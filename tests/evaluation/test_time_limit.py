import contextlib
import signal
import time

import pytest

from oddshot.errors import SettingError
from oddshot.evaluation import time_limit as module
from oddshot.evaluation.time_limit import check_time_limit, time_limit

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this system has no timer signals"
)


@pytest.mark.parametrize("seconds", [None, 60.0])
def test_a_block_within_the_limit_ends_as_without(seconds):
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(seconds):
        done = sum(range(10))
    assert done == 45
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_block_over_the_limit_is_ended_and_the_alarm_put_away():
    before = signal.getsignal(signal.SIGALRM)
    start = time.perf_counter()
    with pytest.raises(TimeoutError, match=r"not finished after 0\.05 s"), time_limit(0.05):
        time.sleep(60)
    assert time.perf_counter() - start < 30
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_code_that_swallows_the_first_alarm_meets_a_second():
    def swallow():
        with contextlib.suppress(Exception):
            time.sleep(60)
        time.sleep(60)

    with pytest.raises(TimeoutError), time_limit(0.05):
        swallow()


@pytest.mark.parametrize("seconds", [0, -1.5])
def test_a_limit_that_is_none_is_refused(seconds):
    with pytest.raises(SettingError, match=f"time limit is {seconds}; it must be"):
        check_time_limit(seconds)


def test_a_system_without_timers_is_told(monkeypatch):
    monkeypatch.delattr(module.signal, "setitimer")
    check_time_limit(None)
    with pytest.raises(SettingError, match="timer signals, which this system lacks"):
        check_time_limit(1.0)
