import re
import sys
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from oddshot.data.images import (
    Images,
    holds_images,
    looks_like_images,
    read_images,
    to_images,
)
from oddshot.errors import DataError, LabelError, SettingError, SourceError


def save(folder, **pictures):
    """Write uniform pictures, as name="LEVEL HEIGHTxWIDTH MODE"; the last two may be left out."""
    for name, said in pictures.items():
        level, size, mode = [*said.split(), *["6x8", "L"][len(said.split()) - 1 :]]
        height, width = map(int, size.split("x"))
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (width, height), int(level)).convert(mode).save(path)


def levels(images):
    return np.rint(images.pixels.mean((1, 2, 3)) * 255).astype(int).tolist()


def test_a_flat_folder_is_read_in_natural_order(tmp_path):
    save(tmp_path, **{"10.png": "3", "2.png": "2", "a1.PNG": "4", "1.bmp": "1", "b/0.png": "5"})
    (tmp_path / "labels.csv").write_text("1,2")
    (tmp_path / ".hidden.png").write_bytes(b"no picture")
    images = read_images(tmp_path)
    assert images.names == ("1.bmp", "2.png", "10.png", "a1.PNG", "b/0.png")
    assert levels(images) == [1, 2, 3, 4, 5]
    assert images.pixels.dtype == np.float32
    assert (len(images), images.size, images.channels) == (5, (6, 8), 1)
    assert images.labels.tolist() == [-1] * 5
    assert images.kinds == ("", "", "", "", "b")
    assert images.notes == ("files that are no images: labels.csv",)


def test_names_of_any_form_can_be_sorted(tmp_path):
    names = ["a.png", "1.png", "01.png", "1/a.png", "a/1.png", "a1b2.png", "a 1.png", "1a.png"]
    save(tmp_path, **dict.fromkeys(names, "0"))
    found = read_images(tmp_path).names
    assert sorted(found) == sorted(names)
    assert found.index("01.png") < found.index("1.png") < found.index("a1b2.png")


def test_folders_give_labels_and_kinds(tmp_path):
    save(tmp_path, **{f"train/good/{i}.png": "200" for i in range(2)})
    save(tmp_path, **{"test/good/0.png": "201", "test/hole/0.png": "9"})
    save(tmp_path, **{"ground_truth/hole/0_mask.png": "1"})
    images = read_images(tmp_path)
    assert images.names == ("test/good/0.png", "test/hole/0.png", *images.names[2:])
    assert images.labels.tolist() == [0, 1, 0, 0]
    assert images.kinds == ("good", "hole", "good", "good")
    assert images.notes == ("masks in ground_truth left out: 1",)
    assert read_images(tmp_path / "test").labels.tolist() == [0, 1]
    assert read_images(tmp_path / "train").labels.tolist() == [0, 0]


def test_all_images_get_the_most_common_size(tmp_path):
    save(tmp_path, **{"a.png": "1 4x5", "b.png": "2 9x3", "c.png": "3 4x5", "d.png": "4 5x4"})
    images = read_images(tmp_path)
    assert images.size == (4, 5)
    assert levels(images) == [1, 2, 3, 4]
    assert images.notes == ("2 of 4 images resized to 4 x 5 (height x width)",)
    assert read_images(tmp_path, size=(7, 2)).pixels.shape == (4, 7, 2, 1)
    (tmp_path / "c.png").unlink()
    assert read_images(tmp_path).size == (4, 5), "of equally common sizes the smallest"


def test_the_most_common_size_is_of_images_the_right_way_up(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix in ("jpg", "png", "tif"):
        Image.new("L", (8, 4), 9).save(tmp_path / f"x.{suffix}", exif=exif)
    save(tmp_path, **{"y.png": "9 4x8"})
    images = read_images(tmp_path)
    assert images.size == (8, 4)
    assert images.notes == ("1 of 4 images resized to 8 x 4 (height x width)",)


def test_a_tiff_file_on_its_side_is_read_right(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.arange(4 * 8, dtype=np.uint8).reshape(4, 8)
    Image.fromarray(stored).save(tmp_path / "x.tif", exif=exif)
    pixels = read_images(tmp_path).pixels[0, :, :, 0] * 255
    np.testing.assert_allclose(pixels, np.rot90(stored, -1), atol=1e-4)


def test_grey_where_every_image_is(tmp_path):
    save(tmp_path, **{"a.png": "10", "b.png": "20 6x8 1", "c.png": "30 6x8 LA"})
    assert read_images(tmp_path).channels == 1
    assert read_images(tmp_path, grey=False).notes == ("3 of 3 images turned from grey to colour",)
    save(tmp_path, **{"d.png": "40 6x8 RGB"})
    images = read_images(tmp_path)
    assert images.channels == 3
    assert images.notes == ("3 of 4 images turned from grey to colour",)
    grey = read_images(tmp_path, grey=True)
    assert grey.channels == 1
    assert levels(grey) == levels(images)
    assert grey.notes == ("1 of 4 images turned from colour to grey",)


def test_transparency_is_said(tmp_path):
    save(tmp_path, **{"a.png": "0 6x8 RGBA"})
    Image.new("RGBA", (8, 6), (0, 0, 0, 51)).save(tmp_path / "b.png")
    images = read_images(tmp_path)
    assert levels(images) == [0, 204]
    assert images.notes == ("1 of 2 images put on white where they are transparent",)


@pytest.fixture
def damaged(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)
    for name in ("a.png", "b.jpg", "c.png"):
        Image.fromarray(noise).save(tmp_path / name)
    for name in ("b.jpg", "c.png"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "d.gif").write_text("no picture")
    return tmp_path


def test_damaged_files_are_an_error_that_names_them(damaged):
    message = r"'b\.jpg' cannot be read as an image \(.*truncated.*\), nor can 2 more; copy them"
    with pytest.raises(SourceError, match=message + ".*skip_damaged=True"):
        read_images(damaged)
    with pytest.raises(SourceError, match=message):
        read_images(damaged, size=(8, 8), grey=True)
    with pytest.raises(SourceError, match=r"gif' cannot .*\(it is no image, or .*; copy it again$"):
        read_images(damaged / "d.gif", skip_damaged=True)


def test_damaged_files_are_left_out_on_request_and_named(damaged):
    labels = pd.DataFrame({"file": ["b.jpg", "a.png"], "label": [0, 1]})
    images = read_images(damaged, skip_damaged=True, labels=labels)
    assert images.names == ("a.png",)
    assert images.labels.tolist() == [1]
    assert images.notes == ("damaged and left out: b.jpg, c.png, d.gif",)


def test_files_cut_anywhere_are_read_or_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    for suffix in ("png", "jpg", "gif", "bmp", "webp", "ppm"):
        path = tmp_path / f"x.{suffix}"
        Image.fromarray(noise).save(path)
        whole = path.read_bytes()
        for end in range(0, len(whole), max(len(whole) // 40, 1)):
            path.write_bytes(whole[:end])
            with suppress(SourceError):
                assert read_images(path).size == (8, 8)


def test_files_of_floats_out_of_range_count_as_damaged(tmp_path):
    Image.fromarray(np.full((4, 4), 7.0, np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(SourceError, match=r"x\.tif' cannot be read .*floats from 7 to 7; scale"):
        read_images(tmp_path)


def test_a_labels_file_replaces_what_folders_say(tmp_path):
    save(tmp_path / "set", **{"good/0.png": "1", "good/1.png": "2", "bad/0.png": "3"})
    table = tmp_path / "labels.csv"
    table.write_text("image,label,shift\nset/bad/0.png,defect,1\n1.png,good,2\n")
    images = read_images(tmp_path / "set", labels=table)
    assert dict(zip(images.names, images.labels.tolist(), strict=True)) == {
        "bad/0.png": 1,
        "good/0.png": -1,
        "good/1.png": 0,
    }
    table.write_text("image,label\n7.png,1\n1.png,0\n")
    with pytest.raises(SourceError, match=r"labels\.csv' names '7\.png'"):
        read_images(tmp_path / "set", labels=table)


def test_labels_may_be_one_an_image(tmp_path):
    save(tmp_path, **{"a.png": "1", "b.png": "2"})
    assert read_images(tmp_path, labels=["anomaly", None]).labels.tolist() == [1, -1]
    with pytest.raises(LabelError, match="there are 2 images but 3 labels"):
        read_images(tmp_path, labels=[1, 0, 0])


def test_lists_of_files_keep_their_order(tmp_path):
    save(tmp_path, **{"a.png": "1", "b.png": "2", "sub/c.png": "3"})
    files = [tmp_path / "sub/c.png", str(tmp_path / "a.png")]
    images = read_images(files)
    assert images.names == tuple(map(str, files))
    assert levels(images) == [3, 1]
    labels = pd.DataFrame({"file": ["c.png"], "label": [1]})
    assert read_images(files, labels=labels).labels.tolist() == [1, -1]
    assert levels(read_images(tmp_path / "b.png")) == [2]
    with pytest.raises(SourceError, match=r"no such file: .*x\.png, .*y\.png; check"):
        read_images([*files, tmp_path / "x.png", tmp_path / "y.png"])


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"no such file: .*none\.png"):
        read_images(tmp_path / "none.png")
    with pytest.raises(SourceError, match=r"none\.npz' does not exist"):
        read_images(tmp_path / "none.npz")
    with pytest.raises(SourceError, match=r"holds no images; give a folder with files such as"):
        read_images(tmp_path)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"no images, but 1 table \(table.csv\); tables are read"):
        read_images(tmp_path)
    for part in range(2, 9):
        (tmp_path / f"table-{part}.csv").write_text("a,b\n1,2\n")
    three = r"8 tables \(table-2.csv, table-3.csv, table-4.csv and 5 more\); tables"
    with pytest.raises(SourceError, match=three):
        read_images(tmp_path)
    with pytest.raises(SourceError, match=r"table\.csv' cannot be read as an image \(it is no"):
        read_images(tmp_path / "table.csv")


@pytest.mark.parametrize("key", ["images", "X"])
def test_npz_stacks(tmp_path, key):
    path = tmp_path / "stack.npz"
    stack = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((3, 4, 5), np.uint8)
    np.savez(path, **{key: stack})
    images = read_images(path)
    assert levels(images) == [0, 1, 2]
    assert (images.names, images.labels.tolist()) == (("0", "1", "2"), [-1] * 3)
    named = {"y" if key == "X" else "labels": np.array([0, 1, -1]), "names": ["p", "q", "r"]}
    np.savez(path, **{key: stack}, **named)
    images = read_images(path, size=(2, 2))
    assert (images.names, images.labels.tolist()) == (("p", "q", "r"), [0, 1, -1])
    assert images.notes == ("3 of 3 images resized to 2 x 2 (height x width)",)
    table = pd.DataFrame({"name": ["q"], "label": [0]})
    assert read_images(path, labels=table).labels.tolist() == [-1, 0, -1]


def test_what_an_npz_file_lacks_is_said(tmp_path):
    path = tmp_path / "stack.npz"
    np.savez(path, pixels=np.zeros((2, 3, 3)))
    with pytest.raises(SourceError, match="holds the arrays pixels; it needs images"):
        read_images(path)
    np.savez(path, X=np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"X in '.*stack\.npz' has the shape \(2, 3\)"):
        read_images(path)
    np.savez(path, X=np.zeros((2, 5, 5)), names=["a"])
    with pytest.raises(SourceError, match="2 images but 1 names"):
        read_images(path)
    np.savez(path, X=np.zeros((2, 5, 5)), y=[0])
    with pytest.raises(LabelError, match="2 images but 1 labels"):
        read_images(path)
    np.savez(path, X=np.array([None, "a"]))
    with pytest.raises(SourceError, match="holds Python objects"):
        read_images(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SourceError, match="is a damaged npz file"):
        read_images(path)
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 3, 3)))
    with pytest.raises(SourceError, match="it holds one array without a name"):
        read_images(path)


@given(
    arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3, st.sampled_from([1, 3, 4]))),
    st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([None, 1, 3]),
)
def test_arrays_become_images_of_the_shape_asked_for(stack, size, channels):
    images = to_images(stack, size=size, channels=channels)
    n, height, width, held = stack.shape
    assert images.pixels.shape == (n, *(size or (height, width)), channels or min(held, 3))
    assert images.pixels.dtype == np.float32
    assert images.pixels.min() >= 0
    assert images.pixels.max() <= 1
    assert images.names == tuple(map(str, range(n)))
    alone = to_images(stack[-1:], size=size, channels=channels)
    np.testing.assert_array_equal(alone.pixels[0], images.pixels[-1])


def test_pictures_in_memory_are_read_as_their_files_are(tmp_path):
    rng = np.random.default_rng(0)
    arrays_of = [rng.integers(0, 255, (6, 8, 3)).astype(np.uint8) for _ in range(3)]
    pictures = [Image.fromarray(array) for array in arrays_of]
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    stack = to_images(np.stack(arrays_of), size=(4, 4)).pixels
    for source in (pictures, tuple(pictures), tmp_path, arrays_of):
        np.testing.assert_array_equal(read_images(source, size=(4, 4)).pixels, stack)
    one = to_images(pictures[0])
    assert one.pixels.shape == (1, 6, 8, 3)
    assert one.names == ("0",)
    pictures[1] = pictures[1].convert("L").resize((2, 2))
    mixed = to_images(pictures, channels=1)
    assert mixed.pixels.shape == (3, 6, 8, 1)


def test_images_are_fitted_and_keep_what_is_known_of_them():
    first = read_images(np.zeros((2, 4, 4), np.uint8), labels=[1, 0])
    same = to_images(first)
    np.testing.assert_array_equal(same.pixels, first.pixels)
    assert not same.notes
    fit = to_images(first, size=[2, 3], channels=3)
    assert fit.pixels.shape == (2, 2, 3, 3)
    assert fit.labels.tolist() == [1, 0]
    assert fit.notes == (
        "2 of 2 images turned from grey to colour",
        "2 of 2 images resized to 2 x 3 (height x width)",
    )


def test_what_is_no_image_is_refused():
    with pytest.raises(DataError, match="images of different shapes"):
        to_images([np.zeros((2, 2)), np.zeros((3, 3))])
    with pytest.raises(DataError, match=r"X has the shape \(1,\); give images as"):
        to_images("folder")
    with pytest.raises(DataError, match="give images as"):
        to_images([])
    with pytest.raises(DataError, match="give images as"):
        to_images(["a.png", "b.png"])


@pytest.mark.parametrize("size", [(0, 3), (3,), (2.5, 3), "28", 28, (1, 2, 3)])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(SettingError, match=r"size is .*; it must be a height and a width"):
        to_images(np.zeros((1, 5, 5)), size=size)


def test_channels_are_one_or_three():
    with pytest.raises(SettingError, match="channels is 2; it must be None, 1 or 3"):
        to_images(np.zeros((1, 5, 5)), channels=2)


def test_images_check_their_shapes():
    pixels, labels = np.zeros((2, 3, 3, 1), np.float32), np.zeros(2, np.int8)
    with pytest.raises(DataError, match=r"shape \(2, 3, 3\); give \(n, H, W, C\)"):
        Images(pixels[..., 0], ("a", "b"), labels, ("", ""))
    with pytest.raises(DataError, match="2 images have 1 names, 2 labels and 2 kinds"):
        Images(pixels, ("a",), labels, ("", ""))


def test_images_are_told_from_tables():
    picture = Image.new("L", (2, 2))
    images = to_images(picture)
    for X in (images, picture, [picture], np.zeros((2, 3, 3)), np.zeros((2, 3, 3, 1))):
        assert looks_like_images(X)
        assert to_images(X)
    assert looks_like_images([np.zeros((3, 3))])
    for X in (np.zeros((2, 3)), [[1, 2]], pd.DataFrame({"a": [1]}), [], "folder", None, np.ones(3)):
        assert not looks_like_images(X)


def test_paths_with_images_are_told_from_tables(tmp_path):
    np.savez(tmp_path / "stack.npz", X=np.zeros((2, 3, 3)))
    np.savez(tmp_path / "named.npz", images=np.zeros((2, 3, 3, 1)))
    np.savez(tmp_path / "table.npz", X=np.zeros((2, 3)))
    np.savez(tmp_path / "split.npz", train=np.zeros((2, 3)))
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    for name in ("", "stack.npz", "named.npz", "none.JPG"):
        assert holds_images(tmp_path / name)
    for name in ("table.npz", "split.npz", "damaged.npz", "none.npz", "table.csv"):
        assert not holds_images(str(tmp_path / name))
    assert not holds_images("-")


def test_pillow_is_needed_for_files_and_sizes_only(tmp_path, monkeypatch):
    save(tmp_path, **{"a.png": "1"})
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    stack = np.zeros((2, 5, 5), np.uint8)
    assert looks_like_images(stack)
    assert to_images(stack, channels=3).channels == 3
    message = re.escape('images need Pillow, which is not installed; pip install "oddshot[images]"')
    with pytest.raises(SourceError, match=message):
        to_images(stack, size=(2, 2))
    with pytest.raises(SourceError, match=message):
        read_images(tmp_path)
