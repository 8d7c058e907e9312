import os
from pathlib import Path

import numpy as np
import pytest
import torch

from oddshot.data.omniglot import Characters, ImageTasks, read_omniglot, split_alphabets
from oddshot.errors import DataError, SettingError, SourceError

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[3] / "shared/data"))
needs_data = pytest.mark.skipif(
    not (DATA / "omniglot").is_dir(), reason=f"no Omniglot in {DATA}; set ODDSHOT_DATA"
)


@pytest.fixture
def characters() -> Characters:
    """Six characters of three alphabets; pixels tell character and drawing, off the centre."""
    images = np.zeros((6, 20, 28, 28), np.uint8)
    images[:, :, 0, 1] = np.arange(6)[:, None]
    images[:, :, 0, 2] = np.arange(20)
    return Characters(images, tuple("abcdef"), ("X", "X", "Y", "Y", "Y", "Z"))


def of(images: torch.Tensor) -> torch.Tensor:
    """Return the numbers of the characters that the images show."""
    return images[..., 0, 0, 1].long()


def distinct_drawings(support: torch.Tensor, query: torch.Tensor) -> bool:
    both = torch.cat([support, query])[:, 0, 0, 1:3].tolist()
    return len(set(map(tuple, both))) == len(both)


def test_few_shot_tasks_label_characters_alike_in_support_and_query(characters):
    tasks = characters.few_shot(8, seed=0, ways=3, shots=2, queries=4)
    assert len(tasks) == 8
    assert tasks.support.shape == (8, 6, 1, 28, 28)
    assert tasks.query.shape == (8, 12, 1, 28, 28)
    assert tasks.support.dtype == tasks.query.dtype == torch.float32
    assert tasks.support_labels.dtype == tasks.query_labels.dtype == torch.int64
    for task in range(8):
        drawn = of(tasks.support[task])[::2]
        assert len(drawn.unique()) == 3
        assert torch.equal(of(tasks.support[task]), drawn[tasks.support_labels[task]])
        assert torch.equal(of(tasks.query[task]), drawn[tasks.query_labels[task]])
        assert distinct_drawings(tasks.support[task], tasks.query[task])


def test_one_class_tasks_show_normal_drawings_only_and_are_judged_on_a_balanced_query(characters):
    tasks = characters.one_class(40, seed=1, shots=5, queries=4)
    assert tasks.support.shape == (40, 5, 1, 28, 28)
    assert (tasks.support_labels == 0).all()
    normal = of(tasks.support[:, :1])
    assert (of(tasks.support) == normal).all()
    assert torch.equal((of(tasks.query) != normal).long(), tasks.query_labels)
    assert (tasks.query_labels.sum(1) == 4).all()
    assert len(of(tasks.query)[tasks.query_labels == 1].unique()) == 6
    for support, query in zip(tasks.support, tasks.query, strict=True):
        assert distinct_drawings(support, query)


def test_tasks_depend_on_the_seed_and_their_number_alone(characters):
    for draw in (characters.few_shot, characters.one_class):
        whole, part = draw(10, seed=2, queries=3), draw(4, seed=2, first=5, queries=3)
        assert torch.equal(part.support, whole.support[5:9])
        assert torch.equal(part.query, whole.query[5:9])
        assert not torch.equal(draw(10, seed=3, queries=3).support, whole.support)


def test_rotations_are_characters_of_their_own(characters):
    turned = characters.with_rotations()
    assert repr(turned) == "Characters(24 of 3 alphabets, 20 drawings each)"
    assert turned.names[4] == "e"
    assert turned.names[10] == "e@90"
    assert turned.alphabets[10] == turned.alphabets[4] == "Y"
    for quarter in range(4):
        expected = np.rot90(characters.images[4, 7], quarter)
        np.testing.assert_array_equal(turned.images[6 * quarter + 4, 7], expected)
    assert turned.few_shot(2, seed=0, ways=20, queries=3).query.shape == (2, 60, 1, 28, 28)


def test_mirror_images_are_characters_of_their_own(characters):
    mirrored = characters.with_reflections()
    assert len(mirrored) == len(set(mirrored.names)) == 2 * len(characters)
    np.testing.assert_array_equal(
        mirrored.images[len(characters) :], np.flip(characters.images, axis=3)
    )


def test_smoothing_spreads_ink_over_neighbours_and_keeps_all_of_it():
    support = torch.zeros(1, 2, 1, 28, 28)
    support[0, 1, 0, 10, 12] = 1.0
    tasks = ImageTasks(support, torch.zeros(1, 2).long(), support[:, :1], torch.ones(1, 1).long())
    smooth = tasks.smoothed()
    expected = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    torch.testing.assert_close(smooth.support[0, 1, 0, 9:12, 11:14], expected)
    assert smooth.support.sum().item() == pytest.approx(1)
    assert not smooth.query.any()
    assert torch.equal(smooth.query_labels, tasks.query_labels)


def test_a_task_is_warped_as_one_and_another_task_otherwise():
    drawing = torch.zeros(28, 28)
    drawing[8:20, 10:14] = 1
    alike = drawing.expand(2, 6, 1, 28, 28)
    labels = torch.arange(6).expand(2, 6)
    tasks = ImageTasks(alike, labels, alike, labels)
    warped = tasks.warped(np.random.default_rng(0))
    assert warped.support.shape == warped.query.shape == alike.shape
    assert torch.equal(warped.support_labels, labels)
    assert warped.query.min() >= 0
    assert warped.query.max() <= 1.001
    assert not torch.allclose(warped.support, alike)
    # ink that stays on the paper is what one affine map makes of it, wherever it was moved
    ink = torch.cat([warped.support, warped.query], 1).sum((2, 3, 4))
    assert (ink.std(1) < 0.03 * ink.mean(1)).all()
    assert abs(ink[0].mean() - ink[1].mean()) > 1
    again = tasks.warped(np.random.default_rng(0))
    assert torch.equal(again.query, warped.query)


def test_alphabets_are_kept_by_name(characters):
    kept = characters.of_alphabets(("Z", "X"))
    assert kept.names == ("a", "b", "f")
    assert kept.alphabets == ("X", "X", "Z")
    assert kept.images[:, 0, 0, 1].tolist() == [0, 1, 5]
    with pytest.raises(SettingError, match="no alphabet is called 'V'; there are X, Y, Z"):
        characters.of_alphabets(("X", "V"))


def test_every_character_has_one_name(characters):
    with pytest.raises(DataError, match="6 characters have 5 names and 6 alphabets"):
        Characters(characters.images, characters.names[:5], characters.alphabets)


def test_parts_of_a_split_share_no_alphabet():
    names = [f"script{number}" for number in range(30)]
    parts = split_alphabets(names * 2)
    assert {part: len(kept) for part, kept in parts.items()} == {
        "train": 20,
        "validation": 4,
        "test": 6,
    }
    assert sorted(sum(parts.values(), ())) == sorted(names)
    assert split_alphabets(names[::-1]) == parts
    assert split_alphabets(names, seed=1) != parts
    for sizes in ({"train": 31}, {"train": 3, "test": -1}):
        with pytest.raises(SettingError, match=r"sizes are .* at most the 30 alphabets"):
            split_alphabets(names, sizes=sizes)


def write(folder: Path, **replaced: np.ndarray) -> Path:
    """Write a file of two characters, the second first, with two drawings each."""
    arrays = {
        "images": np.repeat(np.arange(4, dtype=np.uint8), 28 * 28).reshape(4, 28, 28),
        "alphabet": np.array(["B", "A", "B", "A"]),
        "character": np.array(["B/1", "A/1", "B/1", "A/1"]),
        **replaced,
    }
    np.savez(folder / "background.npz", **arrays)
    return folder


def test_drawings_are_grouped_by_character(tmp_path):
    found = read_omniglot(write(tmp_path))
    assert found.names == ("A/1", "B/1")
    assert found.alphabets == ("A", "B")
    assert found.images[:, :, 0, 0].tolist() == [[1, 3], [0, 2]]


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"images": np.zeros((4, 27, 28))}, r"have shapes \(4, 27, 28\), \(4,\) and \(4,\)"),
        ({"alphabet": np.array(["A"])}, r"have shapes \(4, 28, 28\), \(1,\) and \(4,\)"),
        ({"character": np.array(list("aaab"))}, "has 1 drawings of one character, 3 of another"),
    ],
)
def test_other_contents_are_refused(tmp_path, replaced, message):
    with pytest.raises(SourceError, match=message):
        read_omniglot(write(tmp_path, **replaced))


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(SourceError, match="there is no such file; give Omniglot's folder"):
        read_omniglot(tmp_path)
    whole = (write(tmp_path) / "background.npz").read_bytes()
    for content in (b"", b"words", whole[:300]):
        (tmp_path / "background.npz").write_bytes(content)
        with pytest.raises(SourceError, match="is not Omniglot's background set"):
            read_omniglot(tmp_path)
    np.savez(tmp_path / "background.npz", images=np.zeros(3))
    with pytest.raises(SourceError, match=r"is not Omniglot's background set .*alphabet"):
        read_omniglot(tmp_path)


@needs_data
def test_the_background_set():
    found = read_omniglot(DATA / "omniglot")
    assert found.images.shape == (964, 20, 28, 28)
    assert set(np.unique(found.images)) == {0, 1}
    assert len(set(found.alphabets)) == 30
    assert all(map(str.startswith, found.names, found.alphabets))
    parts = split_alphabets(found.alphabets)
    assert parts["validation"] == (
        "Balinese",
        "Blackfoot_(Canadian_Aboriginal_Syllabics)",
        "Greek",
        "Inuktitut_(Canadian_Aboriginal_Syllabics)",
    )
    assert parts["test"] == (
        "Anglo-Saxon_Futhorc",
        "Burmese_(Myanmar)",
        "Gujarati",
        "Malay_(Jawi_-_Arabic)",
        "N_Ko",
        "Syriac_(Estrangelo)",
    )
    assert [len(found.of_alphabets(part)) for part in parts.values()] == [679, 78, 207]


@needs_data
def test_sense_drawings_are_nearer_to_their_own_character():
    found = read_omniglot(DATA / "omniglot")
    tasks = found.few_shot(100, seed=0, ways=5, shots=5, queries=5)
    means = tasks.support.reshape(100, 5, 5, -1).mean(2)
    guesses = torch.cdist(tasks.query.flatten(2), means).argmin(-1)
    assert (guesses == tasks.query_labels).float().mean() > 0.5  # chance: 0.2
