import pytest
import torch
from torch import Tensor, nn

from oddshot.errors import SettingError
from oddshot.networks import ConvolutionalEncoder, Encoder, PerceptronEncoder, ResidualEncoder

ENCODERS = {
    "perceptron": PerceptronEncoder([12, 7, 5]),
    "conv4": ConvolutionalEncoder(channels=3, filters=8),
    "residual": ResidualEncoder(channels=3, filters=16),
}


def drawn(encoder: Encoder, seed: int = 0) -> dict[str, Tensor]:
    """Parameters in double precision, all moved so that each of them counts."""
    generator = torch.Generator().manual_seed(seed)
    start = encoder.initial_parameters(generator)
    return {
        n: p.double() + 0.1 * torch.randn(p.shape, generator=generator) for n, p in start.items()
    }


def images(count: int = 5, *, channels: int = 3, size: tuple[int, int] = (9, 13)) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, channels, *size, generator=generator, dtype=torch.float64)


def inputs(name: str, count: int = 5) -> Tensor:
    return images(count)[:, 0, :3, :4] if name == "perceptron" else images(count)


def test_a_perceptron_equals_modules():
    encoder = ENCODERS["perceptron"]
    params = drawn(encoder)
    module = nn.Sequential(nn.Linear(12, 7), nn.SiLU(), nn.Linear(7, 5)).double()
    names = ["weight0", "bias0", "weight1", "bias1"]
    module.load_state_dict(dict(zip(module.state_dict(), map(params.get, names), strict=True)))
    rows = images(channels=1, size=(3, 4))
    torch.testing.assert_close(encoder(params, rows), module(rows.flatten(1)))


@pytest.mark.parametrize(("size", "pooled"), [((28, 28), 4), ((9, 13), 3), ((1, 5), 0)])
def test_conv4_equals_modules(size, pooled):
    encoder = ConvolutionalEncoder(channels=3, filters=16)
    params = drawn(encoder)
    layers: list[nn.Module] = []
    for block in range(4):
        conv = nn.Conv2d(16 if block else 3, 16, 3, padding=1, bias=False).double()
        conv.weight.data = params[f"weight{block}"]
        pool = [nn.MaxPool2d(2)] if block < pooled else []
        layers += [conv, *pool]
        if block < 3:
            norm = nn.GroupNorm(2, 16).double()
            norm.weight.data = params[f"scale{block + 1}"]
            norm.bias.data = params[f"bias{block + 1}"]
            layers += [norm, nn.ReLU()]
    expected = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1))(images(size=size)).flatten(1)
    torch.testing.assert_close(encoder(params, images(size=size)), expected)


@pytest.mark.parametrize("size", [(28, 28), (9, 13), (1, 1)])
def test_the_residual_encoder_equals_modules(size):
    encoder = ResidualEncoder(channels=3, filters=64)
    params = drawn(encoder)
    widths = (24, 24, 48, 64)

    def conv(name: str, stride: int = 1) -> nn.Conv2d:
        weight = params[name]
        width, seen, side, _ = weight.shape
        layer = nn.Conv2d(seen, width, side, stride, side // 2, bias=False).double()
        layer.weight.data = weight
        return layer

    def norm_relu(name: str) -> nn.Sequential:
        width = len(params[f"scale_{name}"])
        norm = nn.GroupNorm(width // 8, width).double()
        norm.weight.data, norm.bias.data = params[f"scale_{name}"], params[f"bias_{name}"]
        return nn.Sequential(norm, nn.ReLU())

    maps = conv("stem")(images(size=size))
    for block in range(3):
        bent = conv(f"first{block}", 2)(norm_relu(f"first{block}")(maps))
        bent = conv(f"second{block}")(norm_relu(f"second{block}")(bent))
        shortcut = nn.AvgPool2d(2, ceil_mode=True)(maps)
        if widths[block] != widths[block + 1]:
            shortcut = conv(f"shortcut{block}")(shortcut)
        maps = bent + shortcut
    torch.testing.assert_close(encoder(params, images(size=size)), maps.amax((2, 3)))


@pytest.mark.parametrize("name", ENCODERS)
def test_an_input_is_embedded_alike_alone_and_in_company(name):
    encoder = ENCODERS[name]
    params, rows = drawn(encoder), inputs(name)
    company = encoder(params, rows)
    assert company.shape == (5, encoder.width)
    for row in range(5):
        torch.testing.assert_close(encoder(params, rows[[row]])[0], company[row])
    assert encoder(params, rows[:0]).shape == (0, encoder.width)


def test_many_images_go_through_in_parts_with_the_same_gradient():
    encoder = ConvolutionalEncoder(filters=8)
    params = {n: p.requires_grad_() for n, p in drawn(encoder).items()}
    many = images(50, channels=1, size=(28, 28))  # three parts
    found = encoder(params, many)
    apart = torch.cat([encoder(params, part) for part in many.split(7)])
    torch.testing.assert_close(found, apart)
    values = list(params.values())
    for one, other in zip(
        torch.autograd.grad(found.square().sum(), values),
        torch.autograd.grad(apart.square().sum(), values),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ENCODERS)
def test_gradients_equal_finite_differences(name):
    encoder = ENCODERS[name]
    params, rows = drawn(encoder), inputs(name, 2)
    generator = torch.Generator().manual_seed(2)
    ways = {n: torch.randn(p.shape, generator=generator).double() for n, p in params.items()}

    def along(step: Tensor) -> Tensor:
        return encoder({n: p + step * ways[n] for n, p in params.items()}, rows)

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(along, step, eps=1e-7, atol=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_parameters_come_from_the_generator_alone(name):
    before = torch.random.get_rng_state()
    first, same, other = (
        ENCODERS[name].initial_parameters(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[n], same[n]) for n in first)
    assert any(not torch.equal(first[n], other[n]) for n in first)
    assert all(p.dtype == torch.float32 for p in first.values())


@pytest.mark.parametrize("kind", [ConvolutionalEncoder, ResidualEncoder])
@pytest.mark.parametrize("channels", [1, 3])
def test_encoders_of_images_stay_below_half_a_mebibyte(kind, channels):
    params = kind(channels=channels).initial_parameters(torch.Generator())
    assert 100_000 < sum(p.numel() for p in params.values()) < 120_000


@pytest.mark.parametrize("name", ["conv4", "residual"])
def test_a_blank_image_has_an_embedding_and_a_gradient(name):
    encoder = ENCODERS[name]
    params = {n: p.requires_grad_() for n, p in drawn(encoder).items()}
    found = encoder(params, torch.zeros(2, 3, 12, 12, dtype=torch.float64))
    assert found.isfinite().all()
    grads = torch.autograd.grad(found.sum(), list(params.values()))
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("kind", [ConvolutionalEncoder, ResidualEncoder])
@pytest.mark.parametrize("filters", [8, 16, 40, 128])
def test_any_multiple_of_eight_filters_will_do(kind, filters):
    encoder = kind(filters=filters)
    params = encoder.initial_parameters(torch.Generator())
    assert encoder(params, torch.zeros(1, 1, 8, 8)).shape == (1, filters)


@pytest.mark.parametrize("kind", [ConvolutionalEncoder, ResidualEncoder])
def test_numbers_out_of_range_are_named(kind):
    with pytest.raises(SettingError, match="channels is 0; it must be 1 or more"):
        kind(channels=0)
    with pytest.raises(SettingError, match="filters is 12; it must be a multiple of 8"):
        kind(filters=12)
    with pytest.raises(SettingError, match=r"widths is \[3\]; it must be two or more numbers"):
        PerceptronEncoder([3])
