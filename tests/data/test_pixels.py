import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from oddshot.data.pixels import fitted, look, picture_pixels, stack_pixels
from oddshot.errors import DataError

RNG = np.random.default_rng(0)
GRADIENT = np.linspace(0, 255, 6 * 8).astype(np.uint8).reshape(6, 8)


@given(arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3, st.sampled_from([1, 3]))))
def test_whole_numbers_are_shares_of_the_largest(stack):
    pixels, changes = stack_pixels(stack, "X")
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(np.rint(pixels * 255), stack)
    np.testing.assert_array_equal(stack_pixels(pixels, "X")[0], pixels)
    deep = stack.astype(np.uint16) * 257
    np.testing.assert_allclose(stack_pixels(deep, "X")[0], pixels, atol=1e-6)
    assert not changes


def test_booleans_and_grey_stacks_without_channels():
    pixels, _ = stack_pixels(GRADIENT[None] > 100, "X")
    assert pixels.shape == (1, 6, 8, 1)
    assert set(np.unique(pixels)) == {0, 1}


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (np.zeros((8, 8)), r"X has the shape \(8, 8\); give images as \(n, H, W\)"),
        (np.zeros(4), "give images as"),
        (np.zeros((1, 2, 3, 4, 1)), "give images as"),
        (np.zeros((8, 9, 3)), r"as one image in colour has; give X\[None\]"),
        (np.zeros((5, 3, 8, 9)), r"come last: give np\.moveaxis\(np\.asarray\(X\), 1, -1\)"),
        (np.zeros((5, 1, 28, 28)), r"channels come last"),
        (np.zeros((5, 8, 9, 2)), r"give 1 channel \(grey\), 3"),
        (np.zeros((0, 8, 9)), "holds no image"),
        (np.zeros((2, 8, 0, 1)), "holds no image"),
        (np.full((1, 2, 2), 255.0), "floats from 255 to 255; scale them to 0 to 1"),
        (np.full((1, 2, 2), -0.1), "floats from -0.1 to -0.1"),
        (np.full((1, 2, 2), np.nan), "X holds 4 pixels without a finite value; fill them in"),
        (np.full((1, 2, 2), 300), "int64 values from 300 to 300; give uint8"),
        (np.full((1, 2, 2), "red"), "holds <U3; give uint8"),
    ],
)
def test_what_is_no_stack_of_images_is_refused_with_a_remedy(stack, message):
    with pytest.raises(DataError, match=message):
        stack_pixels(stack, "X")


def test_images_without_a_finite_value_are_told():
    stack = np.full((9, 4, 4, 3), 0.5)
    stack[[3, 7], 2, 1] = np.nan
    stack[7, 0, 0, 2] = np.inf
    message = "holds 3 pixels without a finite value in 2 images, the first at position 3; fill"
    with pytest.raises(DataError, match=message):
        stack_pixels(stack, "X")


def test_opacity_shows_a_white_ground():
    stack = np.zeros((3, 2, 2, 4), np.uint8)
    stack[0, ..., 3] = 255
    stack[1, ..., 3] = 51
    stack[2, ..., 3] = 255
    stack[2, 0, 0] = 0
    pixels, changes = stack_pixels(stack, "X")
    assert pixels.shape == (3, 2, 2, 3)
    np.testing.assert_allclose(pixels[0], 0)
    np.testing.assert_allclose(pixels[1], 0.8, atol=1e-6)
    assert pixels[2, 0, 0].tolist() == [1, 1, 1]
    assert changes == {"put on white where they are transparent": 2}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_a_picture_of_any_mode_is_grey_or_colour(mode):
    picture = Image.fromarray(np.stack([GRADIENT, GRADIENT[::-1], GRADIENT], -1)).convert(mode)
    pixels, changes = picture_pixels(picture)
    size, channels = look(picture)
    assert pixels.shape == (*size, channels)
    assert pixels.dtype == np.float32
    assert channels == (1 if mode in ("1", "L", "LA") else 3)
    assert not changes
    rgb = np.asarray(picture.convert("RGB"), np.float32) / 255
    np.testing.assert_allclose(np.broadcast_to(pixels, rgb.shape), rgb, atol=1e-6)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_sixteen_bits_keep_their_depth(dtype):
    deep = GRADIENT.astype(dtype) * 257 + 1 - GRADIENT // 255
    pixels, _ = picture_pixels(Image.fromarray(deep))
    np.testing.assert_allclose(pixels[..., 0], deep / 65535, atol=1e-7)
    pixels, _ = picture_pixels(Image.fromarray(deep.astype(np.int32)))
    np.testing.assert_allclose(pixels[..., 0], deep / 65535, atol=1e-7)


def test_pictures_of_floats_or_more_bits_must_say_their_range():
    floats = GRADIENT.astype(np.float32)
    np.testing.assert_allclose(
        picture_pixels(Image.fromarray(floats / 255))[0][..., 0], floats / 255
    )
    with pytest.raises(DataError, match="it holds floats from 0 to 255"):
        picture_pixels(Image.fromarray(floats))
    with pytest.raises(DataError, match="it holds int32 values from 70000 to 70000"):
        picture_pixels(Image.fromarray(np.full((2, 2), 70_000, np.int32)))


def test_a_transparent_palette_is_put_on_white(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(tmp_path / "p.png", transparency=0)
    with Image.open(tmp_path / "p.png") as saved:
        pixels, changes = picture_pixels(saved)
    assert pixels.tolist() == [[[1, 1, 1], [1, 0, 0]]]
    assert changes == {"put on white where they are transparent": 1}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_data_say(tmp_path, suffix, orientation):
    stored = np.zeros((40, 80), np.uint8)
    stored[:20, :40] = 255  # the quarter at the upper left
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / f"x.{suffix}", exif=exif)
    with (tmp_path / f"x.{suffix}").open("rb") as file, Image.open(file) as picture:
        size, _ = look(picture)
        pixels, _ = picture_pixels(picture)
    assert size == pixels.shape[:2] == ((40, 80) if orientation < 5 else (80, 40))
    height, width = size
    quarters = pixels.mean(-1).reshape(2, height // 2, 2, width // 2).mean((1, 3)) > 0.5
    bright = {
        1: (0, 0),
        2: (0, 1),
        3: (1, 1),
        4: (1, 0),
        5: (0, 0),
        6: (0, 1),
        7: (1, 1),
        8: (1, 0),
    }
    assert np.argwhere(quarters).tolist() == [list(bright[orientation])]


def test_of_frames_the_first_is_read(tmp_path):
    frames = [Image.new("L", (4, 4), value) for value in (255, 0, 90)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "x.gif") as picture:
        pixels, changes = picture_pixels(picture)
    assert pixels.min() == 1
    assert changes == {"cut to their first frame": 1}


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
        elements=st.floats(0, 1, width=32),
    ),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from([1, 3]),
)
def test_stacks_are_fitted_to_size_and_channels(pixels, size, channels):
    fit, changes = fitted(pixels, size, channels)
    assert fit.shape == (len(pixels), *size, channels)
    assert fit.dtype == np.float32
    assert fit.min() >= pixels.min() - 1e-5
    assert fit.max() <= min(pixels.max() + 1e-5, 1)
    changed = (size != pixels.shape[1:3]) + (channels != pixels.shape[3])
    assert list(changes.values()) == [len(pixels)] * changed
    again, none = fitted(fit, size, channels)
    assert again is fit
    assert not none
    apart = np.concatenate([fitted(pixel[None], size, channels)[0] for pixel in pixels])
    np.testing.assert_array_equal(fit, apart)


def test_smaller_images_average_and_greys_weigh_colours():
    stripes = np.zeros((1, 8, 8, 3), np.float32)
    stripes[:, ::2] = (1, 0, 0)
    small, _ = fitted(stripes, (2, 2), 1)
    np.testing.assert_allclose(small, 0.299 / 2, atol=0.02)
    colour, _ = fitted(small, None, 3)
    np.testing.assert_array_equal(colour, np.concatenate([small] * 3, -1))
