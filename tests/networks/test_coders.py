import numpy as np
import pytest
import torch
from scipy.special import expit
from torch.nn.functional import conv2d, silu

from oddshot.errors import SettingError
from oddshot.networks import ConvolutionalCoder, PerceptronCoder, part_of


def axes(rows: int, codes: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.linalg.qr(torch.randn(rows, codes, generator=generator, dtype=torch.float64))[0]


def drawn(coder, *, seed=0, tasks=1):
    generator = torch.Generator().manual_seed(seed)
    alone = [coder.initial_parameters(generator) for _ in range(tasks)]
    return {name: torch.stack([params[name] for params in alone]).double() for name in alone[0]}


def rows_of(tasks: int, count: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(tasks, count, width, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("link", [4, axes(4, 2)])
def test_a_perceptron_coder_equals_a_loop_over_rows(link):
    coder = PerceptronCoder(link, hidden=5)
    params, rows = drawn(coder, tasks=3), rows_of(3, 6, 4)
    matrix = np.eye(4) if isinstance(link, int) else link.numpy()
    codes = coder.encode(params, rows)
    again = coder.decode(params, codes)

    def layers(part: str, task: int, row: np.ndarray) -> np.ndarray:
        p = {n: v[task].numpy() for n, v in part_of(params, part).items()}
        hidden = row @ p["weight0"] + p["bias0"][0]
        return (hidden * expit(hidden)) @ p["weight1"] + p["bias1"][0]

    for task in range(3):
        for number, row in enumerate(rows[task].numpy()):
            code = row @ matrix + layers("encoder.", task, row)
            np.testing.assert_allclose(codes[task, number].numpy(), code)
            np.testing.assert_allclose(
                again[task, number].numpy(), matrix @ code + layers("decoder.", task, code)
            )


def convolutional(link, *, height=7, width=6, channels=3):
    return ConvolutionalCoder(link, height=height, width=width, channels=channels, filters=4)


@pytest.mark.parametrize(("height", "width", "channels"), [(7, 6, 3), (8, 8, 1), (5, 9, 2)])
def test_images_of_any_size_come_back_in_their_size(height, width, channels):
    pixels = height * width * channels
    coder = convolutional(axes(pixels, 3), height=height, width=width, channels=channels)
    params, rows = drawn(coder), rows_of(1, 5, pixels)
    codes = coder.encode(params, rows)
    assert codes.shape == (1, 5, 3)
    assert coder.decode(params, codes).shape == rows.shape


def test_convolutions_see_pixels_and_colours_where_they_are():
    """The code beside the link: two strided convolutions of (channels, height, width)."""
    coder = convolutional(axes(7 * 6 * 3, 2))
    params, rows = drawn(coder), rows_of(1, 4, 7 * 6 * 3)
    p = {name: value[0] for name, value in params.items()}
    for number in range(4):
        image = torch.zeros(1, 3, 7, 6, dtype=torch.float64)
        flat = rows[0, number]
        for y in range(7):
            for x in range(6):
                image[0, :, y, x] = flat[3 * (6 * y + x) : 3 * (6 * y + x) + 3]
        maps = silu(conv2d(image, p["encoder.conv0"], p["encoder.bias0"], stride=2, padding=1))
        maps = silu(conv2d(maps, p["encoder.conv1"], p["encoder.bias1"], stride=2, padding=1))
        expected = flat @ coder.link + maps.flatten() @ p["encoder.out"]
        torch.testing.assert_close(coder.encode(params, rows)[0, number], expected)


@pytest.mark.parametrize(
    "coder", [PerceptronCoder(axes(126, 8), hidden=16), convolutional(axes(126, 8))]
)
def test_rows_are_reconstructed_before_anything_is_learned(coder):
    params = drawn(coder)
    inside = rows_of(1, 50, 8) @ coder.link.T
    again = coder.decode(params, coder.encode(params, inside))
    assert (again - inside).square().mean() < 0.2 * inside.square().mean()


@pytest.mark.parametrize(
    "coder", [PerceptronCoder(axes(126, 8), hidden=16), convolutional(axes(126, 8))]
)
def test_training_improves_reconstruction_beyond_the_link(coder):
    params = {n: v.clone().requires_grad_() for n, v in drawn(coder).items()}
    angle = rows_of(1, 64, 1)
    rows = torch.cat([(angle + shift).sin() for shift in torch.linspace(0, 6, 126)], -1)
    optimizer = torch.optim.Adam(params.values(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = (coder.decode(params, coder.encode(params, rows)) - rows).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    linear = rows @ coder.link @ coder.link.T
    assert losses[-1] < 0.5 * losses[0]
    assert losses[-1] < 0.8 * (linear - rows).square().mean()


def test_parts_are_found_by_their_prefix():
    params = {"encoder.a": torch.zeros(1), "decoder.a": torch.ones(1)}
    assert part_of(params, "decoder.") == {"a": params["decoder.a"]}


def test_what_cannot_be_is_refused():
    with pytest.raises(SettingError, match="hidden is 0; it must be 1 or more"):
        PerceptronCoder(3, hidden=0)
    with pytest.raises(SettingError, match="link is 12; it must be of images of 2 x 3 x 1"):
        ConvolutionalCoder(12, height=2, width=3, channels=1)
