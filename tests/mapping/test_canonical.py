import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from scipy.stats import rankdata

from oddshot.mapping.canonical import column_order, dense_ranks, row_order

# few values, so that rows, columns and cells tie often
matrices = nps.arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.integers(1, 4)),
    elements=st.integers(-2, 2).map(float),
)


def arranged(matrix: np.ndarray) -> np.ndarray:
    ranks = dense_ranks(matrix)
    ranks = ranks[:, column_order(ranks)]
    return ranks[row_order(ranks)]


@given(matrices)
def test_ranks_are_dense_ranks(matrix):
    expected = rankdata(matrix, method="dense", axis=0) - 1
    np.testing.assert_array_equal(dense_ranks(matrix), expected)


def test_zero_has_no_sign():
    assert dense_ranks(np.array([[-0.0], [0.0], [1.0]])).ravel().tolist() == [0, 0, 1]


@given(st.integers(0, 10**6), st.integers(5, 50))
def test_the_order_given_does_not_matter(seed, levels):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, levels, size=(40, 4)).astype(float)
    matrix = np.column_stack([matrix, matrix[:, :2]])  # copies of columns
    matrix = np.r_[matrix, matrix[:10]]  # and of rows
    rows, columns = rng.permutation(50), rng.permutation(6)
    np.testing.assert_array_equal(arranged(matrix[np.ix_(rows, columns)]), arranged(matrix))


def test_the_order_of_few_binary_rows_does_not_matter():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        matrix = rng.integers(0, 2, size=(30, 4)).astype(float)
        np.testing.assert_array_equal(arranged(matrix[:, ::-1]), arranged(matrix))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=6))
def test_the_order_of_few_rows_and_two_columns_does_not_matter(pairs):
    matrix = np.array(pairs, dtype=float)
    np.testing.assert_array_equal(arranged(matrix[::-1, ::-1]), arranged(matrix))


@given(matrices, st.data())
def test_the_unit_of_a_column_does_not_matter(matrix, data):
    width = matrix.shape[1]
    scales = data.draw(
        st.lists(st.sampled_from([1e-12, 0.3, 1e12]), min_size=width, max_size=width)
    )
    shifts = data.draw(st.lists(st.integers(-3, 3), min_size=width, max_size=width))
    scaled = (matrix + np.array(shifts)) * np.array(scales)
    np.testing.assert_array_equal(dense_ranks(scaled), dense_ranks(matrix))


def test_columns_and_rows_are_permuted_and_nothing_else():
    ranks = dense_ranks(np.random.default_rng(0).integers(0, 5, size=(50, 20)).astype(float))
    assert sorted(column_order(ranks)) == list(range(20))
    assert sorted(row_order(ranks)) == list(range(50))


def test_equal_rows_stand_together():
    matrix = np.random.default_rng(0).integers(0, 2, size=(60, 3)).astype(float)
    ranks = dense_ranks(matrix)
    changes = (np.diff(ranks[row_order(ranks)].astype(int), axis=0) != 0).any(axis=1)
    assert changes.sum() == len(np.unique(matrix, axis=0)) - 1


def test_the_order_is_that_of_no_column():
    """Otherwise a draw of the first rows would be a draw of the smallest values."""
    matrix = np.random.default_rng(0).normal(size=(2000, 3))
    ranks = dense_ranks(matrix)
    ordered = ranks[row_order(ranks)].astype(float)
    places = np.arange(2000)
    assert all(abs(np.corrcoef(places, column)[0, 1]) < 0.1 for column in ordered.T)


def test_all_columns_but_copies_are_told_apart():
    matrix = np.random.default_rng(0).normal(size=(30, 40))
    ranks = dense_ranks(matrix)
    order = column_order(ranks)
    shuffled = np.random.default_rng(1).permutation(40)
    np.testing.assert_array_equal(shuffled[column_order(ranks[:, shuffled])], order)
