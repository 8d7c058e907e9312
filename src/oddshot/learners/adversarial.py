"""The adversarially augmented autoencoder: four networks, and what each of them is after.

Encoder E, decoder D, generator G of virtual anomalies and discriminator C, whose output is the
anomaly score, with ``L_AAE = L_rec + lambda_1 L_dis + lambda_2 L_adv``. It is not Makhzani's
adversarial autoencoder. Everything has a leading axis B over tasks.

**What keeps G off the normal rows.** L_adv alone would have G reproduce normal rows: they are what
C takes for normal. So G does not choose how far a virtual anomaly is from the row it is made from:
its code is ``G(z) = z + r |e| u``, where the radius r and a random direction e are drawn and G
turns e into the unit vector u. It chooses the direction alone, and no move is shorter than a least
one (on one data set: a row's typical distance to a near neighbour). Going sideways it could still
land on another normal row; `hold_off_loss` makes that expensive. Radii differ by an order of
magnitude, so that C sees how density falls off around normal rows at several scales; a share of the
codes is drawn from the whole box of codes instead, so that it knows the wide outside too.

**Who follows what.** E and D follow L_rec alone; C follows L_dis, and G follows L_adv through D and
C, which stay as they are meanwhile. Gradients of the adversaries in E and D would bend codes and
reconstructions to please C. So ``lambda_1`` and ``lambda_2`` say how fast C and G go beside the
autoencoder.
"""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor
from torch.nn.functional import softplus

from oddshot.networks import Coder, MonotonePerceptron, Params, Perceptron, part_of

PLAYERS = {
    "autoencoder": ("encoder.", "decoder."),
    "discriminator": ("discriminator.",),
    "generator": ("generator.",),
}
_SHARP = 1e-6


@dataclass(frozen=True, slots=True)
class Chance:
    """What is drawn for n virtual anomalies of each of B tasks.

    Parameters
    ----------
    directions
        Shape (B, n, L): e, normally distributed; in part of the coordinates, at times in few.
    radii
        Shape (B, n, 1): r, in units of the codes' spread.
    far, places
        Shapes (B, n, 1) of bool and (B, n, L) in [0, 1]: which codes are drawn from the whole box
        of codes, and where in it.
    """

    directions: Tensor
    radii: Tensor
    far: Tensor
    places: Tensor

    @classmethod
    def draw(
        cls,
        size: tuple[int, int, int],
        generator: torch.Generator,
        *,
        reach: tuple[float, float],
        far: float,
        one_sided: bool = False,
    ) -> "Chance":
        """Draw for B tasks, n anomalies each, and codes of L numbers.

        Parameters
        ----------
        size
            (B, n, L).
        generator
            Where numbers come from.
        reach
            Least and largest radius; their logarithm is drawn evenly.
        far
            Share of codes from the whole box.
        one_sided
            Directions point upwards in every coordinate.
        """
        tasks, rows, width = size

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float32)

        directions = torch.randn(*size, generator=generator, dtype=torch.float32)
        share = uniform(tasks, rows, 1)
        kept = uniform(*size) < share
        # one coordinate at least
        kept = kept | (uniform(*size).argsort(-1) == 0)
        directions = directions * kept
        low, high = log(reach[0]), log(reach[1])
        radii = (low + (high - low) * uniform(tasks, rows, 1)).exp()
        return cls(
            directions.abs() if one_sided else directions,
            radii,
            uniform(tasks, rows, 1) < far,
            uniform(tasks, rows, width),
        )


class AdversarialAutoencoder:
    """The four networks and the losses of the players.

    Parameters
    ----------
    coder
        E and D.
    features
        Numbers that C reads of a row.
    hidden
        Width of the hidden layers of G and C.
    one_sided
        Whether virtual anomalies only go upwards, for coordinates where higher is odder.

    Notes
    -----
    C is monotone, see `MonotonePerceptron`: its features must be such that higher means odder.
    """

    def __init__(
        self, coder: Coder, features: int, *, hidden: int, one_sided: bool = False
    ) -> None:
        self.coder = coder
        self._one_sided = one_sided
        self._generator = Perceptron([2 * coder.codes, hidden, coder.codes], activation="silu")
        self._discriminator = MonotonePerceptron([features, hidden, hidden, 1])

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw all four networks, without a task axis."""
        params = self.coder.initial_parameters(generator)
        for prefix, network in (
            ("generator.", self._generator),
            ("discriminator.", self._discriminator),
        ):
            drawn = network.initial_parameters(generator)
            params |= {prefix + name: value for name, value in drawn.items()}
        return params

    def reconstruction_loss(self, params: Params, rows: Tensor, mask: Tensor) -> Tensor:
        """L_rec (B,): mean squared error of rows (B, n, d), where the mask (B, n) is True."""
        again = self.coder.decode(params, self.coder.encode(params, rows))
        errors = (again - rows).square().mean(-1)
        return _mean(errors, mask)

    def virtual(
        self,
        params: Params,
        rows: Tensor,
        chance: Chance,
        spread: Tensor,
        *,
        least: Tensor | float = 0.0,
    ) -> Tensor:
        """Make virtual anomalies D(G(E(x))) (B, n, d) out of rows (B, n, d).

        ``spread`` (B, 1, 1) is the size of one unit of radius. Codes that are not drawn from the
        whole box move by ``least`` (B, 1, 1) or more.
        """
        codes = self.coder.encode(params, rows)
        seen = torch.cat([codes / spread, chance.directions], -1)
        turned = chance.directions + torch.tanh(
            self._generator(part_of(params, "generator."), seen)
        )
        if self._one_sided:
            turned = turned.abs()
        length = chance.directions.norm(dim=-1, keepdim=True)
        moved = (chance.radii * spread * length).clamp_min(least)
        near = codes + turned * (moved / turned.norm(dim=-1, keepdim=True).clamp_min(_SHARP))
        low, high = codes.amin(1, keepdim=True), codes.amax(1, keepdim=True)
        margin = 0.1 * (high - low)
        far = low - margin + chance.places * (high - low + 2 * margin)
        return self.coder.decode(params, torch.where(chance.far, far, near))

    def score(self, params: Params, features: Tensor) -> Tensor:
        """C: features (B, n, F) to logits (B, n) of being an anomaly."""
        return self._discriminator(part_of(params, "discriminator."), features)[..., 0]


def discrimination_loss(
    normal: Tensor, normal_mask: Tensor, odd: Tensor, odd_mask: Tensor
) -> Tensor:
    """L_dis (B,): cross-entropy of logits (B, n) of normal rows and (B, m) of anomalies.

    Both kinds count alike; a kind without rows counts nothing.
    """
    return _mean(softplus(normal), normal_mask) + _mean(softplus(-odd), odd_mask)


def adversarial_loss(virtual: Tensor, mask: Tensor) -> Tensor:
    """L_adv (B,): how far C is from taking virtual anomalies, logits (B, n), for normal."""
    return _mean(softplus(virtual), mask)


def hold_off_loss(virtual: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
    """How much virtual anomalies (B, n, d) crowd the normal rows (B, m, d), as (B,).

    The mean of ``max(1 - t / s, 0)``, t being the distance to the nearest normal row and s the
    median of that distance among the normal rows themselves.
    """
    # the other ways of cdist have no second derivative
    distances = torch.cdist(virtual, rows, compute_mode="use_mm_for_euclid_dist")
    nearest = distances.masked_fill(~mask[:, None], torch.inf).amin(-1)
    with torch.no_grad():
        among = torch.cdist(rows, rows).masked_fill(~mask[:, None], torch.inf)
        among.diagonal(dim1=1, dim2=2).fill_(torch.inf)
        own = among.amin(-1).masked_fill(~mask, torch.nan)
        typical = own.nanmedian(-1).values.nan_to_num(0.0, posinf=0.0)[:, None]
    crowding = (1 - nearest / typical.clamp_min(_SHARP)).clamp_min(0)
    return torch.where(typical > _SHARP, crowding, 0.0).mean(-1)


def spread_of(codes: Tensor, mask: Tensor) -> Tensor:
    """Root mean variance (B, 1, 1) of codes (B, n, L), where the mask (B, n) is True."""
    shares = mask.to(codes.dtype)
    weight = (shares / shares.sum(1, keepdim=True).clamp_min(1))[..., None]
    centre = (weight * codes).sum(1, keepdim=True)
    variance = (weight * (codes - centre).square()).sum(1, keepdim=True).mean(-1, keepdim=True)
    return variance.clamp_min(_SHARP**2).sqrt()


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, values, 0).sum(-1) / mask.sum(-1).clamp_min(1)
