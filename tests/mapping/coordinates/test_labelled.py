import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from oddshot.mapping.coordinates.calibration import CHANNELS
from oddshot.mapping.coordinates.isolation import Isolation
from oddshot.mapping.coordinates.labelled import (
    LABELLED_NAMES,
    MANY_KNOWN,
    Directions,
    KernelRidge,
    KnownCoordinates,
    KnownDistances,
    KnownLeaves,
    Labelled,
    NaiveBayes,
    Seen,
    Supervised,
)
from oddshot.mapping.coordinates.neighbours import Neighbours
from oddshot.mapping.coordinates.spaces import NAMES

DATA = np.random.default_rng(0)
TYPICAL = DATA.normal(size=(60, 3))
KNOWN = DATA.normal(size=(4, 3)) * 0.5 + [3, 0, -2]
NEW = np.r_[DATA.normal(size=(40, 3)), DATA.normal(size=(40, 3)) * 0.5 + [3, 0, -2]]
BLOCKS = (
    KnownDistances,
    KnownCoordinates,
    NaiveBayes,
    KnownLeaves,
    Directions,
    KernelRidge,
    Supervised,
)


class World:
    """Typical rows, known anomalies and new rows as the label-free part has seen them."""

    def __init__(self, see, typical=TYPICAL, known=KNOWN, new=NEW):
        reference, views = see(typical, new, known)
        self.neighbours, self.isolation = Neighbours(), Isolation()
        own = self.neighbours.fit(reference, np.random.default_rng(0))
        self.isolation.fit(reference, np.random.default_rng(0))
        self.typical = self.seen(reference.typical, own)
        self.known, self.new = self.seen(reference.known), self.seen(views)

    def seen(self, views, distances=None):
        if distances is None:
            distances = self.neighbours.transform(views)
        fifths = distances[:, [Neighbours.names.index(f"knn5_{space}") for space in NAMES]]
        size = np.abs(views.quantile).repeat(2, axis=1)  # odd far from the middle
        aside = np.zeros((len(views), 0), dtype=np.float32)
        return Seen(views, fifths, size, self.isolation.leaves(views.standard), aside)

    def make(self, block):
        given = (self.neighbours,) if block is KnownDistances else ()
        settings = {"trees": 30} if block is Supervised else {}
        return block(*given, **settings)

    def fit(self, block, generator=None):
        made = self.make(block)
        own = made.fit(self.typical, self.known, generator or np.random.default_rng(1))
        return made, own, made.transform(self.new)


@pytest.fixture(scope="module")
def world(see):
    return World(see)


@pytest.fixture(
    scope="module", params=[TYPICAL[:2], np.ones((6, 3))], ids=["two rows", "equal rows"]
)
def poor_world(see, request):
    return World(see, request.param, KNOWN[:1])


def points(seen, space):
    return seen.views.named()[space].astype(np.float64)


def column(block, values, name):
    return values[:, block.names.index(name)]


def test_the_blocks_name_all_label_aware_coordinates_once():
    names = [name for block in BLOCKS for name in block.names]
    assert tuple(names) == LABELLED_NAMES == Labelled.names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("make", BLOCKS)
def test_every_coordinate_is_higher_near_the_known_anomalies(world, make):
    """The second half of the new rows lies around the middle of the known anomalies."""
    block, own, new = world.fit(make)
    assert own.shape == (60, len(block.names))
    assert new.shape == (80, len(block.names))
    for name, values in zip(block.names, new.T, strict=True):
        assert roc_auc_score(np.repeat([0, 1], 40), values) > 0.8, name


@pytest.mark.parametrize("make", BLOCKS)
def test_a_row_is_judged_alone(world, make):
    block, _, whole = world.fit(make)
    alone = [block.transform(world.new[np.array([row])]) for row in range(4)]
    np.testing.assert_allclose(np.concatenate(alone), whole[:4], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", BLOCKS)
def test_one_known_anomaly_and_poor_typical_rows_are_enough(poor_world, make):
    _, own, new = poor_world.fit(make)
    assert np.isfinite(own).all()
    assert np.isfinite(new).all()


def test_distances_to_known_anomalies(world):
    block, _, found = world.fit(KnownDistances)
    for place, space in enumerate(NAMES):
        known, typical = points(world.known, space), points(world.typical, space)
        centred = typical - np.median(typical, axis=0)
        width = np.median([(row**2).sum() for row in centred])
        for row, (point, values) in enumerate(zip(points(world.new, space), found, strict=True)):
            distances = np.array([np.sqrt(((point - other) ** 2).sum()) for other in known])
            log = world.neighbours.log(space, distances.min())
            kernel = np.log(np.mean([np.exp(-(d**2) / width) for d in distances]) + 1e-6)
            expected = [-log, world.new.fifths[row, place] - log, kernel]
            np.testing.assert_allclose(values[3 * place : 3 * place + 3], expected, atol=1e-9)
    assert block.names[:3] == tuple(
        f"known_{kind}_standard" for kind in ("nearest", "relative", "kernel")
    )


def test_nearness_in_coordinates(world):
    _, _, found = world.fit(KnownCoordinates)
    known = world.known.coordinates.astype(float)
    new = world.new.coordinates.astype(float)
    for row, (nearest, relative) in zip(new, found, strict=True):
        log = 0.5 * np.log(min(((row - k) ** 2).sum() for k in known) + 1)
        assert nearest == pytest.approx(-log)
        assert relative == pytest.approx(0.5 * np.log((row**2).sum() + 1) - log)


def test_naive_bayes_is_a_sum_of_log_density_ratios(world):
    block, _, found = world.fit(NaiveBayes)
    for space in ("quantile", "whitened"):
        known = points(world.known, space)
        count = len(known)
        expected = np.zeros(len(world.new))
        for j, values in enumerate(np.clip(points(world.new, space), -6, 6).T):
            mean = known[:, j].sum() / (count + 0.5)
            variance = min((2 + ((known[:, j] - mean) ** 2).sum()) / (2 + count), 4)
            expected += values**2 / 2 - (values - mean) ** 2 / (2 * variance)
            expected -= np.log(variance) / 2
        np.testing.assert_allclose(column(block, found, f"bayes_{space}"), expected, atol=1e-9)


def test_shared_leaves_are_counted(world):
    _, _, found = world.fit(KnownLeaves)
    for leaves, (value,) in zip(world.new.leaves, found, strict=True):
        shares = [np.mean(leaves == other) for other in world.known.leaves]
        assert value == pytest.approx((max(shares) + np.mean(shares)) / 2)


def test_a_known_anomaly_shares_all_leaves_with_itself(see):
    _, _, found = World(see, known=KNOWN[:1], new=KNOWN[:1]).fit(KnownLeaves)
    assert found == pytest.approx(1)


def test_the_direction_is_fishers_shrunken_towards_the_difference_of_the_means(world):
    block, _, found = world.fit(Directions)
    for space in ("standard", "quantile"):
        typical = points(world.typical, space)
        shrinkage = min(0.95, max(0.1, 2 * 3 / (3 + 60)))
        pooled = (1 - shrinkage) * np.cov(typical.T, bias=True) + shrinkage * np.eye(3)
        towards = points(world.known, space).mean(axis=0) - typical.mean(axis=0)
        expected = points(world.new, space) @ np.linalg.inv(pooled) @ towards
        np.testing.assert_allclose(column(block, found, f"direction_{space}"), expected, atol=1e-9)


@pytest.mark.parametrize("space", ["standard", "quantile"])
def test_leave_one_out_scores_of_kernel_ridge_are_those_of_refits(world, space):
    block, own, new = world.fit(KernelRidge)
    typical, known = points(world.typical, space), points(world.known, space)
    rows = np.r_[typical, known]
    target = np.repeat([0.0, 1.0], [60, 4])
    noise = np.repeat([0.5, 0.05], [60, 4])
    squares = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    width = np.median(squares[:60, :60])
    kernel = np.exp(-2 * squares / width)

    def refitted(kept):
        gram = kernel[np.ix_(kept, kept)] + np.diag(noise[kept])
        return np.linalg.solve(gram, target[kept])

    everyone = np.arange(64)
    for row in range(60):
        kept = np.delete(everyone, row)
        expected = kernel[row, kept] @ refitted(kept)
        assert column(block, own, f"kernel_{space}")[row] == pytest.approx(expected, abs=1e-8)
    across = ((points(world.new, space)[:, None] - rows[None]) ** 2).sum(axis=2)
    expected = np.exp(-2 * across / width) @ refitted(everyone)
    np.testing.assert_allclose(column(block, new, f"kernel_{space}"), expected, atol=1e-8)


def test_typical_rows_do_not_find_themselves_in_supervised_scores(see):
    """With labels that mean nothing, rows that were fitted on look no different from new ones."""
    rng = np.random.default_rng(5)
    world = World(
        see, rng.normal(size=(300, 3)), rng.normal(size=(5, 3)), rng.normal(size=(300, 3))
    )
    block, own, new = world.fit(Supervised)
    for name, mine, fresh in zip(block.names, own.T, new.T, strict=True):
        auroc = roc_auc_score(np.repeat([0, 1], 300), np.r_[mine, fresh])
        assert 0.4 < auroc < 0.6, name  # standard deviation 0.024


def labelled(world):
    return Labelled.of(world.neighbours)


def held_out(world):
    return labelled(world).held_out(world.typical, world.known, np.random.default_rng(0))


def test_all_blocks_together_are_calibrated_on_the_typical_rows(world):
    made = labelled(world)
    own = made.fit(world.typical, world.known, np.random.default_rng(0))
    assert own.shape == (60, len(LABELLED_NAMES), CHANNELS)
    assert own.dtype == np.float32
    np.testing.assert_allclose(np.median(own[:, :, 0], axis=0), 0.3, atol=0.05)
    known = made.transform(world.known)
    assert (known[:, :, 0].mean(axis=0) > 1).all()  # among the top tenth, near themselves


def test_one_known_anomaly_cannot_be_held_out(see):
    found = held_out(World(see, known=KNOWN[:1]))
    assert found.shape == (1, len(LABELLED_NAMES), CHANNELS)
    assert (found == 0).all()


def test_held_out_anomalies_are_found_where_they_are_of_one_kind_only(see):
    alike = World(see, known=np.random.default_rng(1).normal(size=(6, 3)) * 0.3 + [4, 0, -3])
    corners = 5 * np.array([[1, 1, 1], [-1, -1, -1], [1, -1, -1], [-1, 1, 1], [1, -1, 1]])
    apart = World(see, known=corners.astype(float))
    nearest = LABELLED_NAMES.index("known_nearest_standard")
    means = [held_out(world)[:, nearest, 0].mean() for world in (alike, apart)]
    assert means[0] > 1.2  # the top twentieth
    assert means[1] < 0.6


def test_a_single_column_of_a_wide_table_is_learned(see):
    rng = np.random.default_rng(0)

    def rows(count, middle):
        made = rng.normal(size=(count, 220))
        made[:, 7] = 0.3 * made[:, 7] + middle * np.where(rng.random(count) < 0.5, 3, -3)
        return made

    world = World(see, rows(300, 1), rows(100, 0), np.r_[rows(100, 1), rows(100, 0)])
    assert world.typical.views.standard.shape[1] <= 192
    block = Supervised(trees=100)
    block.fit(world.typical, world.known, np.random.default_rng(0))
    scores = block.transform(world.new)[:, Supervised.names.index("trees_columns")]
    assert roc_auc_score(np.repeat([0, 1], 100), scores) > 0.9


def test_many_known_anomalies_may_be_told_apart_in_smaller_leaves(see):
    """Of rows on a fine chequerboard, which large leaves blur."""
    draws = np.random.default_rng(3)
    rows = draws.uniform(0, 4, (1500, 2))
    odd = (rows.astype(int).sum(axis=1) % 2).astype(bool)
    typical, known = rows[~odd][:400], rows[odd][:300]
    world = World(see, typical=typical, known=known, new=rows[1000:])
    found = []
    for many in (MANY_KNOWN, np.inf):
        block = Supervised(trees=50, many=many)
        block.fit(world.typical, world.known, np.random.default_rng(0))
        scores = block.transform(world.new)[:, block.names.index("trees_columns")]
        found.append(roc_auc_score(odd[1000:], scores))
    smaller, large = found
    assert smaller > large + 0.02


def test_known_normal_rows_count_more_than_unlabelled_ones(see):
    """The first typical rows lie around the known anomalies; unlabelled, they might be some."""
    like = DATA.normal(size=(10, 3)) * 0.5 + KNOWN.mean(axis=0)
    world = World(see, np.r_[like, TYPICAL])
    scores = []
    for normal in (0, 10):
        block = Supervised(trees=100, normal=normal)
        block.fit(world.typical, world.known, np.random.default_rng(0))
        own = block.transform(world.new)
        scores.append(own[40:].mean(axis=0) - own[:40].mean(axis=0))
    assert (scores[1] < scores[0]).all()


def test_held_out_anomalies_are_judged_with_known_normal_rows_too(see):
    world = World(see)
    found = [
        labelled(world).held_out(world.typical, world.known, np.random.default_rng(0), normal=n)
        for n in (0, 20)
    ]
    changed = (found[0] != found[1]).any(axis=(0, 2))
    assert changed.tolist() == [name in Supervised.names for name in LABELLED_NAMES]
