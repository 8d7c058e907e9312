import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from oddshot.mapping.threading import BLOCK, LEAST, SHARES, in_blocks, one_blas_thread, run_all


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_tasks(threads):
    assert run_all([partial(pow, 2, n) for n in range(20)], threads=threads) == [
        2**n for n in range(20)
    ]


@pytest.mark.parametrize("threads", [1, 4])
def test_blocks_are_the_same_for_any_number_of_threads(threads):
    rows = np.arange(SHARES * BLOCK + 7)
    found = in_blocks(lambda block: rows[block], len(rows), threads=threads)
    assert [len(part) for part in found] == [BLOCK] * SHARES + [7]
    np.testing.assert_array_equal(np.concatenate(found), rows)


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [1]), (LEAST + 1, [LEAST, 1]), (4000, [1000] * SHARES)]
)
def test_fewer_rows_make_smaller_blocks(rows, sizes):
    assert in_blocks(lambda block: block.stop - block.start, rows, threads=1) == sizes


def test_no_rows_are_one_empty_block():
    assert in_blocks(lambda block: block, 0, threads=2) == [slice(0, 0)]


def test_tasks_run_side_by_side():
    meeting = threading.Barrier(2, timeout=30)
    assert sorted(run_all([meeting.wait, meeting.wait], threads=2)) == [0, 1]


def test_an_error_in_a_task_is_raised():
    with pytest.raises(ZeroDivisionError):
        run_all([lambda: 1, lambda: 1 // 0], threads=2)


def test_blas_has_one_thread_within():
    @one_blas_thread
    def threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    assert threads() == {1}


def test_the_last_to_leave_gives_blas_its_threads_back():
    def threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    entered, may_leave = threading.Event(), threading.Event()

    @one_blas_thread
    def stays():
        entered.set()
        may_leave.wait(30)
        return threads()

    before = threads()
    with ThreadPoolExecutor(1) as pool:
        longer = pool.submit(stays)
        entered.wait(30)
        assert one_blas_thread(threads)() == {1}  # leaves first
        may_leave.set()
        assert longer.result() == {1}
    assert threads() == before
