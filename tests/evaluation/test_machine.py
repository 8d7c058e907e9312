from oddshot.evaluation.machine import machine, machine_of_runs


def test_the_machine_is_one_line():
    assert "Python 3." in machine()
    assert "oddshot " in machine()
    assert "\n" not in machine()


def test_runs_of_one_machine_need_no_more_words():
    assert machine_of_runs({machine(): 3}) == machine()


def test_what_differs_between_runs_is_said_with_their_number():
    said = machine_of_runs(
        {"EPYC, 2 cores, pyod 1": 5, "EPYC, 2 cores": 1, "EPYC, 4 cores, pyod 1": 2}
    )
    assert said == (
        "EPYC; not the same for all: 5 runs with 2 cores, pyod 1; 1 run with 2 cores; "
        "2 runs with 4 cores, pyod 1"
    )
    assert machine_of_runs({"A": 1, "B": 2}) == "not the same for all: 1 run with A; 2 runs with B"


def test_what_is_not_known_is_said():
    assert machine_of_runs({"": 2}) == "not known of 2 runs by an older version of Oddshot"
    assert machine_of_runs({"A": 1, "": 1}) == (
        "A; not known of 1 run by an older version of Oddshot"
    )
