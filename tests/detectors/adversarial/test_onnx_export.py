import numpy as np
import onnxruntime
import pandas as pd
import pytest

from oddshot.detectors.adversarial import onnx_export
from oddshot.detectors.autoencoder import AAEDetector
from oddshot.errors import DataError, SettingError
from small_autoencoders import bars, few_labels, rows_of


@pytest.fixture(scope="module")
def fitted() -> AAEDetector:
    return AAEDetector(steps=20).fit(rows_of(odd=10), few_labels())


def run_onnx(path, numbers: np.ndarray) -> np.ndarray:
    (scores,) = onnxruntime.InferenceSession(path).run(["score"], {"numbers": numbers})
    return scores


def whole(rows: np.ndarray) -> np.ndarray:
    return np.round(rows)  # distances tie


@pytest.mark.parametrize("known", [0, 3])
@pytest.mark.parametrize("shaped", [np.asarray, whole])
def test_onnx_gives_the_scores_of_a_table(tmp_path, known, shaped):
    rows, unseen = shaped(rows_of(odd=10)), shaped(rows_of(300, odd=50, seed=1))
    detector = AAEDetector(steps=20).fit(rows, few_labels(known=known))
    detector.export_onnx(tmp_path / "scorer.onnx")
    # the rows that were fitted are compared with all but themselves, there too
    for numbers in (unseen, rows, unseen[:1]):
        found = run_onnx(tmp_path / "scorer.onnx", numbers)
        assert found.shape == (len(numbers),)
        expected = detector._fitted.judged(detector._fitted.read(numbers))[0]
        np.testing.assert_allclose(found, expected, atol=5e-6)
    ranks = pd.Series(run_onnx(tmp_path / "scorer.onnx", unseen)).rank()
    assert ranks.corr(pd.Series(detector.anomaly_score(unseen)).rank()) > 0.9999
    assert [file.name for file in tmp_path.iterdir()] == ["scorer.onnx"]


def test_onnx_compares_with_many_rows_too(tmp_path):
    detector = AAEDetector(steps=20).fit(rows_of(800))
    detector.export_onnx(tmp_path / "scorer.onnx")
    unseen = rows_of(300, odd=50, seed=1)
    expected = detector._fitted.judged(detector._fitted.read(unseen))[0]
    np.testing.assert_allclose(run_onnx(tmp_path / "scorer.onnx", unseen), expected, atol=5e-6)


def test_onnx_reads_what_a_mixed_table_and_images_become(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "fee": np.where(rng.random(90) < 0.1, np.nan, rng.lognormal(size=90)),
            "land": rng.choice(["AT", "DE", "CH"], 90),
            "paid": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 9e6, 90), "s"),
        }
    )
    for fitted, X in ((table, table), (bars(), bars(seed=1))):
        detector = AAEDetector(steps=20).fit(fitted)
        detector.export_onnx(str(tmp_path / "scorer.onnx"))
        found = run_onnx(tmp_path / "scorer.onnx", detector.encoded(X))
        expected = detector._fitted.judged(detector._fitted.read(X))[0]
        np.testing.assert_allclose(found, expected, atol=5e-6)


def test_onnx_does_not_hold_a_blend(tmp_path):
    detector = AAEDetector(steps=5, reconstruction=0.5).fit(rows_of())
    with pytest.raises(SettingError, match=r"reconstruction is 0\.5; it must be 0 for an export"):
        detector.export_onnx(tmp_path / "scorer.onnx")


def test_an_onnx_file_that_gives_other_scores_is_not_written(tmp_path, monkeypatch, fitted):
    forward = onnx_export._Scorer.forward
    monkeypatch.setattr(
        onnx_export._Scorer, "forward", lambda self, numbers: forward(self, numbers) + 0.1
    )
    with pytest.raises(DataError, match=r"gives other scores .*\(off by up to 0\.1\)"):
        fitted.export_onnx(tmp_path / "scorer.onnx")
    assert not [*tmp_path.iterdir()]


def test_onnx_says_what_is_missing(tmp_path, monkeypatch, fitted):
    with pytest.raises(DataError, match=r"cannot be written .*; choose a file in a folder that"):
        fitted.export_onnx(tmp_path / "nowhere" / "scorer.onnx")
    monkeypatch.setattr("oddshot.detectors.adversarial.onnx_export.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'onnx; install it with pip install "oddshot\[onnx\]"'):
        fitted.export_onnx(tmp_path / "scorer.onnx")
