import numpy as np
import pytest
import torch

from oddshot.episodes import MappedTask, SupportSummary
from oddshot.errors import DataError, PriorError, SettingError
from oddshot.learners import (
    LEARNERS,
    Learner,
    Shape,
    collate,
    find_learner,
    make_learner,
    prior_settings,
    restore,
)
from oddshot.priors import Prior


def _task(name: str = "toy", *, coordinates: int = 3, evidence: int = 2) -> MappedTask:
    rows = np.ones((4, coordinates, 2), np.float32)
    summary = SupportSummary(np.ones((evidence, 5), np.float32), np.ones(2, np.float32))
    labels = np.zeros(4, np.int8)
    return MappedTask(name, "toys", 0, rows, labels, rows, labels, summary)


def test_collate_pads_and_masks(synthetic_tasks):
    tasks = synthetic_tasks(3)
    batch = collate(tasks)
    assert len(batch) == 3
    assert batch.support.dtype == torch.float32
    for row, task in enumerate(tasks):
        s, q = len(task.support), len(task.query)
        assert batch.support_mask[row].sum() == s
        assert batch.query_mask[row].sum() == q
        np.testing.assert_array_equal(batch.support[row, :s], task.support)
        np.testing.assert_array_equal(batch.query[row, :q], task.query)
        np.testing.assert_array_equal(batch.support_labels[row, :s], task.support_labels)
        np.testing.assert_array_equal(batch.query_labels[row, :q], task.query_labels)
        assert (batch.support_labels[row, s:] == -1).all()
        assert (batch.support[row, s:] == 0).all()
        np.testing.assert_array_equal(batch.evidence[row], task.summary.evidence)
        np.testing.assert_array_equal(batch.table[row], task.summary.table)


def test_a_batch_changes_precision_but_not_labels(synthetic_tasks):
    batch = collate(synthetic_tasks(2)).to(torch.float64)
    assert batch.support.dtype == batch.evidence.dtype == batch.table.dtype == torch.float64
    assert batch.support_labels.dtype == torch.int8
    assert batch.query_mask.dtype == torch.bool


def test_what_cannot_be_stacked_is_named():
    with pytest.raises(DataError, match="at least one task"):
        collate([])
    with pytest.raises(DataError, match=r"'a' has 3 coordinates but evidence of shape \(2, 5\)"):
        collate([_task("a")])
    with pytest.raises(DataError, match=r"'a' and 'b' have the widths.*map both with one mapping"):
        collate([_task("a", evidence=3), _task("b", coordinates=4, evidence=4)])


def test_unknown_names_list_what_there_is():
    shape = Shape(3, 2, 5, 2)
    with pytest.raises(SettingError, match=r"no learner is called 'mamil'; choose one of .*maml"):
        make_learner("mamil", shape)
    with pytest.raises(SettingError, match=r"'maml' has no setting 'stepz'; choose among .*hidden"):
        make_learner("maml", shape, {"stepz": 3})


def test_a_prior_gives_its_learner_back(tmp_path):
    learner = make_learner("maml", Shape(3, 2, 5, 2), {"hidden": (4,), "inner_steps": 1})
    params = learner.initial_parameters(torch.Generator().manual_seed(1))
    tensors = {name: value.numpy() for name, value in params.items()}
    Prior("maml", prior_settings(learner), tensors, {}).save(tmp_path)
    again, loaded = restore(Prior.load(tmp_path))
    assert repr(again) == repr(learner)
    for name, value in params.items():
        assert torch.equal(loaded[name], value)


def test_a_prior_that_does_not_fit_is_refused():
    learner = make_learner("maml", Shape(3, 2, 5, 2))
    settings = prior_settings(learner)
    register = (
        r"no learner is called 'later'; register .* \(oddshot.learners.LEARNERS\['later'\] = its"
    )
    with pytest.raises(PriorError, match=register):
        restore(Prior("later", settings, {}, {}))
    with pytest.raises(PriorError, match="no setting 'later'"):
        restore(Prior("maml", {**settings, "later": 1}, {}, {}))
    with pytest.raises(PriorError, match="cannot be used here"):
        restore(Prior("maml", {}, {}, {}))
    with pytest.raises(PriorError, match="tensors that its settings do not call for"):
        restore(Prior("maml", settings, {"weight0": np.zeros((2, 2))}, {}))


def test_the_registry_knows_each_learner_by_its_own_name():
    assert all(learner.name == name for name, learner in LEARNERS.items())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("maml", {"hidden": 8}, r"maml setting hidden is 8; it must be a list .*, as \(32,\)"),
        ("maml", {"hidden": ["a"]}, r"hidden is \['a'\]; it must be a list of whole numbers"),
        ("maml", {"hidden": [8.5]}, r"hidden is \[8.5\]; it must be a list of whole numbers"),
        ("maml", {"hidden": [True]}, r"hidden is \[True\]; it must be a list of whole numbers"),
        ("maml", {"inner_steps": None}, "inner_steps is None; it must be a whole number, as 3"),
        ("maml", {"inner_steps": True}, "inner_steps is True; it must be a whole number, as 3"),
        ("maml", {"alpha": None}, "alpha is None; it must be a finite number, as 0.5"),
        ("maml", {"clip_norm": "abc"}, "clip_norm is 'abc'; it must be a finite number, or None"),
        ("aae", {"reach": [0.1, "x"]}, "reach is .* must be a list of finite numbers"),
        ("gated", {"anchor_shares": 3}, "anchor_shares is 3; .* a list of finite numbers, or None"),
        ("maml", {"inner_steps": "3"}, "inner_steps is '3'; it must be a whole number, as 3"),
        ("maml", {"inner_rate": "x"}, "inner_rate is 'x'; it must be a finite number, as 0.05"),
        ("maml", {"inner_rate": float("inf")}, "inner_rate is inf; it must be a finite number"),
        ("maml", {"one_class": "False"}, "one_class is 'False'; it must be True or False"),
        ("relation", {"encoder": 3}, "encoder is 3; it must be a word, as 'perceptron'"),
    ],
)
def test_settings_of_the_wrong_kind_are_named(name, settings, message):
    with pytest.raises(SettingError, match=message):
        make_learner(name, Shape(4, 2, 3, 2), settings)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_takes_its_own_settings_back(name):
    shape = Shape(4, 2, 3, 2)
    settings = make_learner(name, shape).settings
    assert make_learner(name, shape, settings).settings == settings


def test_none_stands_where_a_setting_can_do_without():
    assert make_learner("relation", Shape(4, 2, 3, 2), {"direct": None}).settings["direct"] is None
    assert make_learner("maml", Shape(4, 2, 3, 2), {"clip_norm": 2}).settings["clip_norm"] == 2


def test_a_class_is_a_learner_too_if_its_name_is_its_own(monkeypatch):
    class Mine(LEARNERS["maml"]):
        name = "mine"

    class Nameless(LEARNERS["maml"]):
        pass

    assert find_learner("maml") == find_learner(LEARNERS["maml"]) == ("maml", LEARNERS["maml"])
    assert find_learner(Mine) == ("mine", Mine)
    assert isinstance(make_learner(Mine, Shape(4, 2, 3, 2)), Mine)
    with pytest.raises(SettingError, match="learner 'mine' has no setting 'steps'"):
        make_learner(Mine, Shape(4, 2, 3, 2), {"steps": 3})
    with pytest.raises(SettingError, match="name of learner Nameless is 'maml'; it must be a word"):
        find_learner(Nameless)
    with pytest.raises(SettingError, match="name of learner Learner is None"):
        find_learner(Learner)


def test_a_learner_that_was_added_may_have_settings_of_its_own_kinds(monkeypatch):
    class Mine(LEARNERS["maml"]):
        name = "mine"

        def __init__(self, shape, *, factor=2, shares: dict[str, float] | None = None):
            super().__init__(shape)
            self.given = factor, shares

    monkeypatch.setitem(LEARNERS, "mine", Mine)
    settings = {"factor": "two", "shares": {"a": 0.5}}
    assert make_learner("mine", Shape(4, 2, 3, 2), settings).given == ("two", {"a": 0.5})
