import copy
import json
import pickle

import numpy as np
import pytest

from oddshot import priors
from oddshot.errors import PriorError
from oddshot.persistence import save_state
from oddshot.priors import Prior


@pytest.fixture
def prior() -> Prior:
    return Prior(
        "maml",
        {"hidden": [8], "inner_rate": 0.05},
        {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3, np.float32)},
        {"families": ["glass", "wine"], "date": "2026-01-01"},
    )


def test_save_and_load(tmp_path, prior):
    prior.save(tmp_path / "prior")
    loaded = Prior.load(tmp_path / "prior")
    assert loaded == prior
    assert loaded.settings == prior.settings
    assert loaded.provenance == prior.provenance
    for name, array in prior.tensors.items():
        assert loaded.tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.tensors[name], array)


def test_fingerprint_tells_contents_apart_and_ignores_provenance(prior):
    def other(**changes):
        values = {n: getattr(prior, n) for n in ("learner", "settings", "tensors", "provenance")}
        return Prior(**{**values, **changes})

    same = other(tensors=dict(reversed(prior.tensors.items())), provenance={})
    assert same == prior
    assert hash(same) == hash(prior)
    for changed in (
        other(learner="anil"),
        other(settings={"hidden": [9]}),
        other(tensors={**prior.tensors, "bias": np.zeros((1, 3), np.float32)}),
        other(tensors={**prior.tensors, "bias": np.ones(3, np.float32)}),
    ):
        assert changed.fingerprint != prior.fingerprint
    assert prior != "maml"


def test_repr_and_families(prior):
    assert repr(prior) == (
        f"Prior('maml', 9 parameters, 2 families, fingerprint {prior.fingerprint})"
    )
    assert prior.seen_families == {"glass", "wine"}


def test_tensors_cannot_change(prior):
    mine = np.zeros(3)
    held = Prior("maml", {}, {"a": mine}, {}).tensors["a"]
    mine[0] = 1
    assert held[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 1


def test_settings_and_provenance_cannot_change():
    mine = {"widths": [4]}
    prior = Prior("maml", mine, {"a": np.zeros(3)}, mine)
    fingerprint = prior.fingerprint
    mine["widths"].append(5)
    for held in (prior.settings, prior.provenance, prior.tensors):
        with pytest.raises(TypeError, match="does not support item assignment"):
            held["rate"] = 1
    assert prior.settings["widths"] == [4]
    assert prior.fingerprint == fingerprint


@pytest.mark.parametrize("again", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_are_equal(prior, again):
    assert again(prior) == prior


def test_load_names_what_is_wrong(tmp_path):
    with pytest.raises(PriorError, match="does not exist"):
        Prior.load(tmp_path / "nowhere")
    save_state(tmp_path / "c", kind="checkpoint", meta={}, tensors={})
    with pytest.raises(PriorError, match="holds a checkpoint, not a prior"):
        Prior.load(tmp_path / "c")
    save_state(tmp_path / "p", kind="prior", meta={"learner": "maml"}, tensors={})
    with pytest.raises(PriorError, match="names no learner, settings or provenance"):
        Prior.load(tmp_path / "p")


def test_default_is_read_once_or_says_that_it_is_absent(tmp_path, monkeypatch, prior):
    monkeypatch.setattr(priors, "_weights", lambda: tmp_path)
    with pytest.raises(PriorError, match=r"no prior at .* reinstall oddshot"):
        Prior.default()
    prior.save(tmp_path / "default")
    assert Prior.default() == prior
    assert Prior.default() is Prior.default()


def test_two_priors_ship(monkeypatch, tmp_path, prior):
    assert Prior.find("default") is Prior.default()
    images = Prior.find("images")
    assert images is Prior.find("images")
    assert (images.reads_images, Prior.default().reads_images) == (True, False)
    assert images.settings["image"] == [28, 28]
    assert len(images.seen_families) == 30
    files = (priors._weights() / "images").iterdir()
    assert sum(file.stat().st_size for file in files) < 2**19
    monkeypatch.chdir(tmp_path)
    prior.save("images")
    assert Prior.find("images") is images
    assert Prior.find("./images") == prior


def test_default_lies_in_the_package():
    assert priors._weights().parts[-2:] == ("oddshot", "weights")


def test_nothing_within_a_prior_changes():
    prior = Prior("maml", {"hidden": [8], "shape": {"table": 3}}, {"w": np.ones(2)}, {"f": ["a"]})
    for change in (
        lambda: prior.settings["hidden"].append(1),
        lambda: prior.settings["hidden"].__setitem__(0, 1),
        lambda: prior.settings["shape"].update(table=4),
        prior.provenance["f"].clear,
    ):
        with pytest.raises(TypeError, match="a prior never changes"):
            change()
    assert prior.settings["hidden"] == [8]
    assert json.loads(json.dumps(dict(prior.settings))) == prior.settings
    assert pickle.loads(pickle.dumps(prior)) == prior
    assert copy.deepcopy(prior.settings["shape"]) == {"table": 3}


def test_numbers_of_numpy_become_plain_ones(tmp_path):
    prior = Prior("maml", {"inner_steps": np.int64(2)}, {"w": np.ones(2)}, {})
    assert type(prior.settings["inner_steps"]) is int
    assert repr(prior) == repr(Prior("maml", {"inner_steps": 2}, {"w": np.ones(2)}, {}))
    prior.save(tmp_path)
    assert Prior.load(tmp_path) == prior
