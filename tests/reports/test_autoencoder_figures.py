import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from oddshot.detectors.autoencoder import AAEDetector
from oddshot.errors import DataError
from oddshot.reports.autoencoder_figures import CHANCE, draw_losses, draw_virtual

pytest.importorskip("matplotlib", reason="the plot extra is not installed")

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def images():
    pixels = np.random.default_rng(0).uniform(0, 0.3, size=(40, 6, 8))
    pixels[:, 2:4, 3:5] = 1.0
    return pixels


@pytest.fixture(scope="module")
def on_images(images):
    return AAEDetector(steps=20, latent=3, random_state=0).fit(images)


def on_table(rows, **settings):
    return AAEDetector(steps=settings.pop("steps", 5), random_state=0, **settings).fit(rows)


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is drawn, before it becomes a file."""
    from matplotlib.figure import Figure

    drawn, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **kw: drawn.append(self) or save(self, *args, **kw)
    )
    return drawn


def test_losses_of_all_players_and_checks_are_drawn(tmp_path, figures):
    rows = np.random.default_rng(0).normal(size=(60, 3))
    detector = on_table(rows, steps=100, patience=3)
    draw_losses(detector, tmp_path / "losses.png")
    assert (tmp_path / "losses.png").read_bytes().startswith(PNG)
    rebuilt, judged = figures[0].axes
    assert rebuilt.lines[0].get_ydata().tolist() == detector.history_["reconstruction"]
    names = {line.get_label(): line for line in judged.lines}
    checks = names["validation: L_dis"]
    assert checks.get_xdata().tolist() == [50, 100]
    assert checks.get_ydata().tolist() == detector.history_["validation"]
    assert {"discriminator: L_dis", "generator: L_adv"} < set(names)
    assert names["L_dis of a guess"].get_ydata()[0] == CHANCE


def test_without_checks_and_with_few_steps_there_are_curves(on_images, tmp_path, figures):
    draw_losses(on_images, tmp_path / "losses.png")
    assert not any(line.get_label().startswith("validation") for line in figures[0].axes[1].lines)


def test_images_stand_in_a_grid_with_their_scores(on_images, images, tmp_path, figures):
    draw_virtual(on_images, images, tmp_path / "virtual.png")
    assert (tmp_path / "virtual.png").read_bytes().startswith(PNG)
    axes = np.array(figures[0].axes).reshape(3, 10)
    shown = images[np.linspace(0, 39, 10).round().astype(int)]
    first = np.stack([ax.images[0].get_array() for ax in axes[0]])
    np.testing.assert_allclose(first, shown, atol=1e-6)
    scores = [f"{score:.1f}" for score in on_images.anomaly_score(shown)]
    assert [ax.get_xlabel() for ax in axes[0]] == scores


def test_images_in_colour_and_fewer_than_the_grid_holds(tmp_path, figures):
    pixels = np.random.default_rng(0).random((12, 5, 5, 3))
    draw_virtual(on_table(pixels, latent=2), pixels[:4], tmp_path / "virtual.png")
    assert len(figures[0].axes) == 12


def test_images_of_another_size_are_refused(on_images, tmp_path):
    with pytest.raises(DataError, match=r"12 x 16 x 1 values.* 48; give them in the same size"):
        draw_virtual(on_images, np.zeros((3, 12, 16)), tmp_path / "virtual.png")


@pytest.mark.parametrize("columns", [1, 4])
def test_rows_are_projected_and_their_distances_shown(columns, tmp_path, figures):
    rows = np.random.default_rng(0).normal(size=(300, columns)) * 1000
    draw_virtual(on_table(rows), rows, tmp_path / "virtual.png")
    assert (tmp_path / "virtual.png").read_bytes().startswith(PNG)
    *panels, apart = figures[0].axes
    assert [len(ax.collections[-1].get_offsets()) for ax in panels] == [200] * 3
    assert [ax.get_title() for ax in panels] == [
        "Originals",
        "Reconstructions",
        "Virtual anomalies",
    ]
    own, rebuilt, _ = (np.median(line.get_xdata()) for line in apart.lines)
    # on a line neighbours are nearer than a few steps get
    assert rebuilt < (own if columns > 1 else 0.1 * np.ptp(rows))


def test_a_constant_column_does_no_harm(tmp_path, figures):
    rows = np.random.default_rng(0).normal(size=(50, 3))
    rows[:, 1] = 7
    draw_virtual(on_table(rows), rows, tmp_path / "virtual.png")
    points = np.concatenate([ax.collections[-1].get_offsets() for ax in figures[0].axes[:3]])
    assert np.isfinite(points).all()


def test_it_must_be_fitted(tmp_path):
    with pytest.raises(NotFittedError):
        draw_losses(AAEDetector(), tmp_path / "losses.png")
