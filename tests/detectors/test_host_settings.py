"""What a host program has set for numpy and PyTorch changes no score and breaks nothing."""

from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch

from oddshot import FewShotDetector
from oddshot.detectors.autoencoder import AAEDetector
from small_autoencoders import bars, rows_of
from small_detectors import few_labels


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


HOSTS = {
    "default device": default_device,
    "device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference": torch.inference_mode,
    "numpy": lambda: np.errstate(all="raise"),
}
MAKE = {
    "table": (FewShotDetector, rows_of(150, odd=3), few_labels(150)),
    "images": (lambda: FewShotDetector(prior="images"), bars(12), None),
    "autoencoder": (lambda: AAEDetector(steps=3), rows_of(60), None),
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", MAKE)
def test_scores_are_those_of_a_plain_process(kind, host, tmp_path):
    make, rows, labels = MAKE[kind]
    expected = make().fit(rows, labels).anomaly_score(rows)
    with HOSTS[host]():
        found = make().fit(rows, labels)
        np.testing.assert_array_equal(found.anomaly_score(rows), expected)
        found.save(tmp_path)
        np.testing.assert_array_equal(type(found).load(tmp_path).anomaly_score(rows), expected)
        if kind == "table":
            found.explain(rows[:2])
            found.rank(rows).add_labels([5], [1])


def test_numbers_near_the_largest_and_smallest_there_are():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=60), "z": 0.0})
    extremes = {"large": np.where(rng.random(60) < 0.5, 1e308, -1e308), "small": 5e-324}
    with np.errstate(all="raise"):
        for values in extremes.values():
            held = rows.assign(z=np.where(rng.random(60) < 0.5, values, 0.0))
            detector = FewShotDetector().fit(held)
            assert np.isfinite(detector.anomaly_score(held)).all()
            detector.explain(held[:1])
            detector.check_drift(held)


def test_seeds_of_any_size():
    AAEDetector(steps=2, random_state=2**70).fit(rows_of(40))
    AAEDetector(steps=2, latent=3, random_state=2**40).fit(bars(12))
    FewShotDetector(prior="images", random_state=2**70).fit(bars(12))
