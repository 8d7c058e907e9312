"""The example of the labelling loop runs, here for fewer rows."""

import importlib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_answers_pay_in_the_example(capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    example = importlib.import_module("labelling_loop")
    monkeypatch.setattr(example, "SHOWN", (10, 30))
    example.main()
    table = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    anew, once = (int(value) for value in table[-1][1:])
    assert anew > 5 > once
