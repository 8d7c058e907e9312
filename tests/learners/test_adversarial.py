import numpy as np
import pytest
import torch

from oddshot.learners.adversarial import (
    PLAYERS,
    AdversarialAutoencoder,
    Chance,
    adversarial_loss,
    discrimination_loss,
    hold_off_loss,
    spread_of,
)
from oddshot.networks import Params, PerceptronCoder

WIDTH = 4


def networks(*, one_sided=False) -> tuple[AdversarialAutoencoder, Params]:
    made = AdversarialAutoencoder(
        PerceptronCoder(WIDTH, hidden=6), WIDTH, hidden=8, one_sided=one_sided
    )
    params = made.initial_parameters(torch.Generator().manual_seed(0))
    return made, {name: value[None].double().requires_grad_() for name, value in params.items()}


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*size, generator=generator, dtype=torch.float64)


def chance_of(tasks: int, rows: int, *, seed=1, far=0.0, reach=(0.1, 2.0), one_sided=False):
    generator = torch.Generator().manual_seed(seed)
    drawn = Chance.draw((tasks, rows, WIDTH), generator, reach=reach, far=far, one_sided=one_sided)
    return Chance(drawn.directions.double(), drawn.radii.double(), drawn.far, drawn.places.double())


def masks(*lengths: int, rows: int) -> torch.Tensor:
    return torch.arange(rows) < torch.tensor(lengths)[:, None]


def test_every_parameter_belongs_to_one_player():
    _, params = networks()
    owners = [[p for p, parts in PLAYERS.items() if name.startswith(parts)] for name in params]
    assert all(len(found) == 1 for found in owners)


def test_what_is_drawn_keeps_its_word():
    chance = chance_of(50, 40, far=0.3, reach=(0.5, 4.0))
    assert chance.radii.min() >= 0.5
    assert chance.radii.max() <= 4.0
    assert (chance.radii < 2**0.5).double().mean() == pytest.approx(0.5, abs=0.05)  # logarithm
    assert chance.far.double().mean() == pytest.approx(0.3, abs=0.05)
    assert 0 <= chance.places.min() <= chance.places.max() <= 1
    touched = (chance.directions != 0).sum(-1)
    assert touched.min() == 1
    assert touched.max() == WIDTH
    assert (chance_of(50, 40, one_sided=True).directions >= 0).all()


def test_chance_comes_from_the_generator_alone():
    before = torch.random.get_rng_state()
    first, second = chance_of(2, 9), chance_of(2, 9)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name in ("directions", "radii", "far", "places"):
        assert torch.equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("one_sided", [False, True])
def test_codes_of_virtual_anomalies_lie_a_radius_away(one_sided):
    made, params = networks(one_sided=one_sided)
    rows, chance = normal(1, 30, WIDTH), chance_of(1, 30, one_sided=one_sided)
    spread = torch.full((1, 1, 1), 1.7, dtype=torch.float64)
    made.coder.decode = lambda _, codes: codes  # what G makes, before D
    moves = made.virtual(params, rows, chance, spread) - made.coder.encode(params, rows)
    expected = 1.7 * chance.radii[..., 0] * chance.directions.norm(dim=-1)
    torch.testing.assert_close(moves.norm(dim=-1), expected)
    assert (moves.min() >= 0) == one_sided


def test_far_codes_fill_the_box_of_codes_and_a_margin():
    made, params = networks()
    rows, chance = normal(1, 300, WIDTH), chance_of(1, 300, far=1.0)
    made.coder.decode = lambda _, codes: codes
    virtual = made.virtual(params, rows, chance, torch.ones(1, 1, 1, dtype=torch.float64))
    codes = made.coder.encode(params, rows)
    low, high = codes.amin(1), codes.amax(1)
    margin = 0.1 * (high - low)
    for found, bound in ((virtual.amin(1), low - margin), (virtual.amax(1), high + margin)):
        torch.testing.assert_close(found, bound, atol=0.1, rtol=0.05)


def test_losses_are_their_formulas():
    rows, odd = normal(2, 5), normal(2, 6, seed=1)
    mask, odd_mask = masks(5, 3, rows=5), masks(6, 0, rows=6)
    found = discrimination_loss(rows, mask, odd, odd_mask)
    virtual = adversarial_loss(odd, masks(6, 2, rows=6))
    for task, (many, odd_many) in enumerate(((5, 6), (3, 0))):
        low = -np.log(1 / (1 + np.exp(rows[task, :many].numpy()))).mean()  # of being normal
        high = -np.log(1 / (1 + np.exp(-odd[task, :odd_many].numpy())))
        assert found[task].item() == pytest.approx(low + (high.mean() if odd_many else 0))
    fooled = -np.log(1 - 1 / (1 + np.exp(-odd[1, :2].numpy()))).mean()
    assert virtual[1].item() == pytest.approx(fooled)


def test_reconstruction_is_the_mean_squared_error_of_what_is_no_padding():
    made, params = networks()
    shared = {name: value.expand(2, *value.shape[1:]) for name, value in params.items()}
    rows = normal(2, 5, WIDTH)
    found = made.reconstruction_loss(shared, rows, masks(5, 3, rows=5))
    again = made.coder.decode(shared, made.coder.encode(shared, rows))
    for task, many in enumerate((5, 3)):
        error = (again[task, :many] - rows[task, :many]).square().mean()
        torch.testing.assert_close(found[task], error)


def test_holding_off_counts_the_nearest_normal_row():
    rows, virtual = normal(2, 12, WIDTH), 0.5 * normal(2, 7, WIDTH, seed=1)
    mask = masks(12, 8, rows=12)
    found = hold_off_loss(virtual, rows, mask)
    for task, many in enumerate((12, 8)):
        members, made = rows[task, :many].numpy(), virtual[task].numpy()
        own = []
        for i, row in enumerate(members):
            own.append(min(np.linalg.norm(row - m) for j, m in enumerate(members) if j != i))
        typical = np.sort(own)[(many - 1) // 2]  # the lower of two in the middle
        costs = [max(1 - min(np.linalg.norm(v - m) for m in members) / typical, 0) for v in made]
        assert found[task].item() == pytest.approx(np.mean(costs))


def test_holding_off_is_nothing_where_normal_rows_have_no_distance():
    alike = torch.ones(1, 5, WIDTH, dtype=torch.float64)
    virtual = alike.clone().requires_grad_()
    loss = hold_off_loss(virtual, alike, masks(5, rows=5))
    assert loss.item() == 0
    assert hold_off_loss(virtual, alike[:, :1], masks(1, rows=1)).item() == 0
    assert torch.autograd.grad(loss.sum(), virtual)[0].isfinite().all()


@pytest.mark.parametrize("rows", [9, 40])
def test_holding_off_has_two_derivatives(rows):
    members, mask = normal(1, rows, WIDTH), masks(rows, rows=rows)
    virtual = (0.3 * normal(1, rows, WIDTH, seed=1)).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda v: hold_off_loss(v, members, mask), virtual)


def test_spread_is_the_root_mean_variance():
    codes = normal(2, 9, WIDTH)
    found = spread_of(codes, masks(9, 5, rows=9))
    for task, many in enumerate((9, 5)):
        expected = codes[task, :many].numpy().var(axis=0).mean() ** 0.5
        assert found[task].item() == pytest.approx(expected)


def test_two_players_alone_move_virtual_anomalies():
    """C's loss reaches E, D and G only through virtual anomalies, L_adv C only through scores."""
    made, params = networks()
    rows = normal(1, 10, WIDTH)
    virtual = made.virtual(params, rows, chance_of(1, 10), torch.ones(1, 1, 1, dtype=torch.float64))

    def touched(loss: torch.Tensor) -> set[str]:
        slopes = torch.autograd.grad(
            loss.sum(), list(params.values()), retain_graph=True, allow_unused=True
        )
        return {
            name.split(".")[0]
            for name, slope in zip(params, slopes, strict=True)
            if slope is not None and (slope != 0).any()
        }

    everyone = torch.ones(1, 10, dtype=torch.bool)
    kept = made.reconstruction_loss(params, rows, everyone)
    assert touched(kept) == {"encoder", "decoder"}
    odd = made.score(params, virtual.detach())
    assert touched(discrimination_loss(odd, everyone, odd, everyone)) == {"discriminator"}
    assert touched(virtual) == {"encoder", "decoder", "generator"}


def test_a_generator_that_is_held_off_keeps_its_distance():
    """A step along a line of rows lands on the next row, which fools C; holding off forbids it."""
    line = torch.arange(20, dtype=torch.float64) / 20
    rows = torch.stack([line, line, 0 * line, 0 * line], -1)[None]
    everyone, gap = torch.ones(1, 20, dtype=torch.bool), 2**0.5 / 20

    def chance(seed: int) -> Chance:
        directions = normal(1, 20, WIDTH, seed=seed)
        return Chance(
            directions / directions.norm(dim=-1, keepdim=True),
            torch.full((1, 20, 1), gap, dtype=torch.float64),
            torch.zeros(1, 20, 1, dtype=torch.bool),
            torch.zeros(1, 20, WIDTH, dtype=torch.float64),
        )

    def crowding(weight: float) -> float:
        made, params = networks()
        made.coder.encode, made.coder.decode = (lambda _, given: given,) * 2
        own = {n: v for n, v in params.items() if n.startswith(PLAYERS["generator"])}
        optimizer = torch.optim.Adam(own.values(), lr=0.02)
        unit = torch.ones(1, 1, 1, dtype=torch.float64)
        for step in range(80):
            virtual = made.virtual(params, rows, chance(step), unit)
            aside = torch.stack([virtual[..., 0] - virtual[..., 1], *virtual[..., 2:].unbind(-1)])
            fooled = adversarial_loss(1000 * aside.square().sum(0), everyone)
            loss = fooled + weight * hold_off_loss(virtual, rows, everyone)
            grads = torch.autograd.grad(loss.sum(), list(own.values()))
            for value, grad in zip(own.values(), grads, strict=True):
                value.grad = grad
            optimizer.step()
        return hold_off_loss(made.virtual(params, rows, chance(99), unit), rows, everyone).item()

    assert crowding(10.0) < 0.5 * crowding(0.0)
