"""What holds for a detector of images, in whatever form they come and whatever is labelled."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector
from oddshot.data.images import Images, read_images

IMAGES, ODD, SIZE = 40, 3, 20


def bars(images: int = IMAGES, *, seed: int = 0) -> np.ndarray:
    """Upright bars (n, 20, 20) from 0 to 1, of any place and brightness; the first ones lie."""
    rng = np.random.default_rng(seed)
    stack = rng.uniform(0, 0.15, (images, SIZE, SIZE))
    for number, image in enumerate(stack):
        at = int(rng.integers(4, SIZE - 7))
        image[3:-3, at : at + 3] += rng.uniform(0.5, 0.8)
        if number < ODD:
            stack[number] = image.T
    return np.round(stack * 255) / 255


def grey_bytes(images: int = IMAGES, *, seed: int = 0) -> np.ndarray:
    return np.round(bars(images, seed=seed) * 255).astype(np.uint8)


FORMS: dict[str, Callable[..., Any]] = {
    "floats": bars,
    "bytes": grey_bytes,
    "colour": lambda n=IMAGES, *, seed=0: np.stack([grey_bytes(n, seed=seed)] * 3, -1),
    "pillow": lambda n=IMAGES, *, seed=0: [Image.fromarray(i) for i in grey_bytes(n, seed=seed)],
    "images": lambda n=IMAGES, *, seed=0: read_images(grey_bytes(n, seed=seed)),
}
REGIMES = ("no labels", "anomalies", "anomalies and normals", "normals")


def labels_of(regime: str) -> np.ndarray | None:
    labels = np.full(IMAGES, -1)
    if regime == "no labels":
        return None
    if regime == "normals":
        return np.zeros(IMAGES, dtype=int)
    labels[:2] = 1
    if regime == "anomalies and normals":
        labels[ODD : ODD + 10] = 0
    return labels


@dataclass(frozen=True)
class Case:
    """Images, what is labelled, images that were not shown, and the fitted detector."""

    images: Any
    labels: np.ndarray | None
    unseen: Any
    detector: FewShotDetector


@cache
def fitted(form: str, regime: str) -> Case:
    images = FORMS[form]()
    if regime == "normals":
        images = take(FORMS[form](IMAGES + ODD), np.arange(ODD, IMAGES + ODD))
    labels = labels_of(regime)
    detector = FewShotDetector(prior="images").fit(images, labels)
    return Case(images, labels, FORMS[form](seed=2), detector)


def take(images: Any, index: np.ndarray) -> Any:
    if isinstance(images, Images):
        return images.pixels[index]
    return [images[i] for i in index] if isinstance(images, list) else images[index]


CASES = [("bytes", regime) for regime in REGIMES]
CASES += [(form, "anomalies") for form in FORMS if form != "bytes"]
each_case = pytest.mark.parametrize(("form", "regime"), CASES)
each_regime = pytest.mark.parametrize("regime", REGIMES)


@each_case
def test_scores_are_finite_and_not_negative(form, regime):
    case = fitted(form, regime)
    for images in (case.images, case.unseen):
        scores = case.detector.anomaly_score(images)
        assert scores.shape == (len(images),)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        assert (scores >= 0).all()


@each_case
def test_the_faces_agree(form, regime):
    case = fitted(form, regime)
    scores = case.detector.anomaly_score(case.unseen)
    np.testing.assert_array_equal(case.detector.score_samples(case.unseen), -scores)
    decisions = case.detector.decision_function(case.unseen)
    np.testing.assert_array_equal(decisions, -scores - case.detector.offset_)
    verdicts = case.detector.predict(case.unseen)
    np.testing.assert_array_equal(verdicts == -1, scores > case.detector.threshold_)
    assert case.detector.column_report_ == []
    assert not hasattr(case.detector, "n_features_in_")


@each_case
def test_odd_images_score_higher_and_typical_ones_near_0(form, regime):
    case = fitted(form, regime)
    scores = case.detector.anomaly_score(case.unseen)
    assert roc_auc_score(np.arange(IMAGES) < ODD, scores) > 0.9
    assert 0.1 < np.median(case.detector.anomaly_score(case.images)) < 0.5
    assert scores[:ODD].max() > 1


@each_case
def test_the_automatic_threshold_flags_few_images(form, regime):
    case = fitted(form, regime)
    assert (case.detector.predict(case.images) == -1).mean() <= 0.26
    assert 0.005 <= case.detector.contamination_ <= 0.25


@each_case
def test_an_image_scores_alike_alone_and_in_company(form, regime):
    case = fitted(form, regime)
    for images in (case.images, case.unseen):
        company = case.detector.anomaly_score(images)
        alone = [case.detector.anomaly_score(take(images, [i])) for i in range(0, IMAGES, 9)]
        np.testing.assert_allclose(np.concatenate(alone), company[::9], rtol=1e-6, atol=1e-9)


def test_the_form_does_not_matter():
    expected = fitted("bytes", "anomalies").detector.anomaly_score(bars(seed=2))
    for form in FORMS:
        case = fitted(form, "anomalies")
        for images in FORMS.values():
            found = case.detector.anomaly_score(images(seed=2))
            # a colour image's grey is a sum of three products
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@each_regime
def test_the_order_of_images_does_not_matter(regime):
    case = fitted("bytes", regime)
    order = np.random.default_rng(0).permutation(IMAGES)
    labels = None if case.labels is None else case.labels[order]
    other = FewShotDetector(prior="images").fit(case.images[order], labels)
    expected = case.detector.anomaly_score(case.unseen)
    np.testing.assert_allclose(other.anomaly_score(case.unseen), expected, rtol=1e-6)
    assert other.threshold_ == pytest.approx(case.detector.threshold_, rel=1e-6)


@each_regime
def test_it_comes_back_from_a_file_with_the_same_scores(regime, tmp_path):
    case = fitted("bytes", regime)
    case.detector.save(tmp_path / "saved")
    again = FewShotDetector.load(tmp_path / "saved")
    for images in (case.images, case.unseen):
        expected = case.detector.anomaly_score(images)
        np.testing.assert_array_equal(again.anomaly_score(images), expected)
    assert again.threshold_ == case.detector.threshold_
    assert again.contamination_ == case.detector.contamination_
    assert again.column_report_ == []


@each_regime
@pytest.mark.parametrize("again", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_score_alike(regime, again):
    case = fitted("bytes", regime)
    expected = case.detector.anomaly_score(case.unseen)
    np.testing.assert_array_equal(again(case.detector).anomaly_score(case.unseen), expected)


def test_a_clone_learns_the_same():
    case = fitted("bytes", "anomalies")
    again = clone(case.detector).fit(case.images, case.labels)
    expected = case.detector.anomaly_score(case.unseen)
    np.testing.assert_array_equal(again.anomaly_score(case.unseen), expected)


@pytest.mark.parametrize(("images", "known"), [(2, 0), (3, 1), (5, 0), (5, 3), (12, 3)])
def test_tiny_sets(images, known):
    stack = bars(images)
    labels = np.where(np.arange(images) < known, 1, -1)
    detector = FewShotDetector(prior="images").fit(stack, labels)
    scores = detector.anomaly_score(np.concatenate([stack, bars(seed=1), 1 - bars(seed=1)]))
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
