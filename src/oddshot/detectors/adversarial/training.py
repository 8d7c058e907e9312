"""Training of the adversarially augmented autoencoder on one data set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from oddshot.detectors.adversarial.neighbourhood import Neighbourhood
from oddshot.errors import TrainingError
from oddshot.learners.adversarial import (
    PLAYERS,
    AdversarialAutoencoder,
    Chance,
    adversarial_loss,
    discrimination_loss,
    hold_off_loss,
    spread_of,
)
from oddshot.networks import Params

Losses: TypeAlias = dict[str, float]

CHECK_EVERY = 50
HELD_OUT = 0.1
_KNOWN_REACH = (0.02, 0.3)  # how far copies of a known anomaly lie from it
_KNOWN_SHARE = 0.8  # of what L_dis says of anomalies, where some are known
_REMEDY = "lower learning_rate, or look for extreme values in the rows"
_COLLAPSED = 0.52  # AUROC of normal rows against clear virtual anomalies
_ENOUGH = 10  # of these


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialSettings:
    """How the players are trained; the names are those of `AAEDetector`'s arguments."""

    steps: int
    batch_size: int
    learning_rate: float
    lambda_1: float
    lambda_2: float
    reach: tuple[float, float]
    far: float
    hold_off: float
    gradient_penalty: float
    patience: int | None


class AdversarialFit:
    """The players' training: `run` it, then read ``params`` and ``history``.

    Parameters
    ----------
    networks
        The four networks.
    view
        What the discriminator reads of a row.
    rows
        Shape (n, d): the normal rows.
    known
        Shape (k, d): known anomalies, which join the virtual ones; k may be 0.
    recipe
        How.
    seed
        Decides initial parameters, batches and virtual anomalies.

    Attributes
    ----------
    params
        The players' parameters, each with an axis of length 1 in front.
    history
        Losses by name, one entry a step or, for "validation", a check; "checked" has the steps of
        these.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        networks: AdversarialAutoencoder,
        view: Neighbourhood,
        rows: Tensor,
        known: Tensor,
        recipe: AdversarialSettings,
        *,
        seed: int,
    ) -> None:
        self._networks, self._view, self._rows, self._known = networks, view, rows, known
        self._recipe = recipe
        self._generator = torch.Generator().manual_seed(seed)
        drawn = networks.initial_parameters(self._generator)
        self.params: Params = {n: p[None].requires_grad_() for n, p in drawn.items()}
        self.history: dict[str, list[float]] = {
            name: []
            for name in (
                *("reconstruction", "discrimination", "adversarial"),
                *("validation", "checked"),
            )
        }
        with torch.no_grad():
            self._features = torch.cat([view(block) for block in torch.split(rows, 1024)])
            codes = networks.coder.encode(self.params, rows[None])
            self._spread = spread_of(codes, _all(codes))
        self._optimizers = {
            player: torch.optim.Adam(self._of(player), recipe.learning_rate * rate, fused=True)
            for player, rate in (
                ("autoencoder", 1.0),
                ("discriminator", recipe.lambda_1),
                ("generator", recipe.lambda_2),
            )
        }
        order = torch.randperm(len(rows), generator=self._generator)
        held = int(HELD_OUT * len(rows)) if recipe.patience is not None else 0
        self._trained = order[held:]
        self._judged = order[: held or min(256, len(rows))]  # normal rows of the checks
        self._decoys = self._virtual(rows[self._judged][None]).detach()

    @torch.inference_mode(False)
    @torch.enable_grad()
    def run(self, on_step: Callable[[int, Losses], None] | None = None) -> None:
        """Train to the last step, or until the held-out rows have not gained for a while.

        Raises
        ------
        TrainingError
            If a loss is not finite, or the discriminator cannot tell normal rows from virtual
            anomalies at the end.
        """
        best, kept, since = torch.inf, self._copied(), 0
        schedules = [
            torch.optim.lr_scheduler.CosineAnnealingLR(o, self._recipe.steps)
            for o in self._optimizers.values()
        ]
        for step in range(1, self._recipe.steps + 1):
            losses = self._step()
            for schedule in schedules:
                schedule.step()
            for name, value in losses.items():
                self.history[name].append(value)
            if not all(value < torch.inf for value in losses.values()):
                raise TrainingError(f"the autoencoder diverged in step {step}: {losses}; {_REMEDY}")
            if on_step is not None:
                on_step(step, losses)
            due = step % CHECK_EVERY == 0 or step == self._recipe.steps
            if self._recipe.patience is not None and due:
                loss = self._check()
                self.history["validation"].append(loss)
                self.history["checked"].append(step)
                if loss < best:
                    best, kept, since = loss, self._copied(), 0
                else:
                    since += 1
                if since >= self._recipe.patience:
                    break
        self.params = kept if best < torch.inf else self._copied()
        self._refuse_collapse()

    def _step(self) -> Losses:
        """Let each player take one step; what the others do is a constant to it."""
        recipe, networks = self._recipe, self._networks
        size = min(recipe.batch_size, len(self._trained))
        drawn = torch.randint(len(self._trained), (size,), generator=self._generator)
        chosen = self._trained.take(drawn)
        rows, mask = self._rows.index_select(0, chosen)[None], torch.ones(1, size, dtype=torch.bool)
        reconstruction = networks.reconstruction_loss(self.params, rows, mask)
        self._descend("autoencoder", reconstruction)

        # one pass of C serves both adversaries: it judges before either of them moves
        virtual = self._virtual(rows)
        normal = self._features.index_select(0, chosen)[None]
        judged = networks.score(self.params, torch.cat([normal, self._seen(virtual)], 1))
        scores, odd = judged[:, :size], judged[:, size:]
        fooled = adversarial_loss(odd, mask)
        crowding = hold_off_loss(virtual, rows, mask)
        self._descend("generator", fooled + recipe.hold_off * crowding, keep=True)

        loss = self._discrimination(scores, odd)
        if recipe.gradient_penalty:
            normal = normal.detach().requires_grad_()
            total = networks.score(self.params, normal).sum()
            (slope,) = torch.autograd.grad(total, normal, create_graph=True)
            # R1 of Mescheder et al. 2018, equation 9
            loss = loss + recipe.gradient_penalty / 2 * slope.square().sum(-1).mean(1)
        self._descend("discriminator", loss)
        return {
            "reconstruction": reconstruction.item(),
            "discrimination": loss.item(),
            "adversarial": fooled.item(),
        }

    def _discrimination(self, scores: Tensor, odd: Tensor) -> Tensor:
        """L_dis of both kinds' logits; known anomalies weigh four times as much as virtual ones."""
        loss = discrimination_loss(scores, _all(scores[..., None]), odd, _all(odd[..., None]))
        if not len(self._known):
            return loss
        size = max(len(self._known), odd.shape[1] // 4)
        chosen = torch.randint(len(self._known), (size,), generator=self._generator)
        with torch.no_grad():
            copies = self._virtual(self._known[chosen][None], copies=True)
        known = self._networks.score(self.params, self._seen(copies))
        with_known = discrimination_loss(
            scores, _all(scores[..., None]), known, _all(known[..., None])
        )
        return (1 - _KNOWN_SHARE) * loss + _KNOWN_SHARE * with_known

    def _virtual(self, rows: Tensor, *, copies: bool = False) -> Tensor:
        """Draw virtual anomalies out of rows (1, n, d), or near copies of known anomalies."""
        chance = Chance.draw(
            (1, rows.shape[1], self._networks.coder.codes),
            self._generator,
            reach=_KNOWN_REACH if copies else self._recipe.reach,
            far=0.0 if copies else self._recipe.far,
        )
        least = 0.0 if copies else self._view.typical
        return self._networks.virtual(self.params, rows, chance, self._spread, least=least)

    def _seen(self, rows: Tensor) -> Tensor:
        return self._view(rows[0])[None]

    def _descend(self, player: str, loss: Tensor, *, keep: bool = False) -> None:
        """Take one step of a player down its loss, and leave the others as they are.

        What the loss was made from can be differentiated once more if ``keep``.
        """
        params = self._of(player)
        gradients = torch.autograd.grad(loss.sum(), params, retain_graph=keep)
        for value, gradient in zip(params, gradients, strict=True):
            value.grad = gradient
        self._optimizers[player].step()

    def _of(self, player: str) -> list[Tensor]:
        return [value for name, value in self.params.items() if name.startswith(PLAYERS[player])]

    def _check(self) -> float:
        """L_dis of held-out normal rows and of virtual anomalies that never change."""
        with torch.no_grad():
            normal, odd = self._judgements()
            loss = discrimination_loss(normal, _all(normal[..., None]), odd, _all(odd[..., None]))
        return loss.item()

    def _refuse_collapse(self) -> None:
        """Compare normal rows with virtual anomalies that lie farther off than rows do.

        Those that came closer to a row than other rows are can rightly pass for normal.
        """
        with torch.no_grad():
            normal, odd = (scores[0] for scores in self._judgements())
            off = torch.cdist(self._decoys[0], self._rows).amin(1) > self._typical_distance()
        if not (normal.isfinite().all() and odd.isfinite().all()):
            raise TrainingError(f"the autoencoder diverged in its last step; {_REMEDY}")
        clear = odd[off]
        if len(clear) < _ENOUGH:
            return
        truth = torch.cat([torch.zeros_like(normal), torch.ones_like(clear)])
        told_apart = roc_auc_score(truth, torch.cat([normal, clear]))
        if told_apart < _COLLAPSED:
            raise TrainingError(
                f"the discriminator collapsed: it tells virtual anomalies from normal rows with an "
                f"AUROC of {told_apart:.2f}; give more rows, another random_state, or a larger "
                f"reach than {self._recipe.reach}"
            )

    def _typical_distance(self) -> Tensor:
        """Median distance of a row to the nearest other one."""
        rows = self._rows[self._judged]
        distances = torch.cdist(rows, self._rows)
        distances[torch.arange(len(rows)), self._judged] = torch.inf
        return distances.amin(1).median()

    def _judgements(self) -> tuple[Tensor, Tensor]:
        normal = self._networks.score(self.params, self._features[self._judged][None])
        return normal, self._networks.score(self.params, self._seen(self._decoys))

    def _copied(self) -> Params:
        return {name: value.detach().clone() for name, value in self.params.items()}


def _all(values: Tensor) -> Tensor:
    return torch.ones(values.shape[:-1], dtype=torch.bool)
