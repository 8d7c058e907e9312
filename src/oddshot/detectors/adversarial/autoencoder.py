"""An adversarially augmented autoencoder, trained on one data set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oddshot.detectors.adversarial.fronts import Front, front_of
from oddshot.detectors.adversarial.neighbourhood import Neighbourhood, has_shades, inner_rows
from oddshot.detectors.adversarial.training import AdversarialFit, AdversarialSettings, Losses
from oddshot.episodes import NORMAL, FloatArray
from oddshot.learners.adversarial import AdversarialAutoencoder, Chance, spread_of
from oddshot.mapping.support import Support
from oddshot.mapping.threading import ONE_TORCH_THREAD, one_blas_thread
from oddshot.networks import Params
from oddshot.networks.host import plain_torch
from oddshot.persistence import under

MOST_NEIGHBOURS = 2048  # rows that others are compared with
BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedAutoencoder:
    """What `AAEDetector` keeps of a data set; rows are scaled and of d numbers.

    All is of double precision, so that a row scores alike in whatever company.

    Parameters
    ----------
    front
        What brings X to numbers (n, d).
    columns
        Shape (d,): which of them stand where.
    centre, unit
        Shape (d,): what they are scaled with.
    view
        What the discriminator reads of a row.
    link
        Principal axes (d, L) of the rows, or d.
    hidden
        Width of hidden layers.
    networks, params
        The four networks; the parameters have an axis of length 1 in front.
    spread
        Shape (1, 1, 1): of the codes of normal rows.
    history
        Losses by name, see `AdversarialFit`.
    own
        Two of shape (m,): logits and reconstruction errors of the normal rows, see `judged`.
    """

    front: Front
    columns: NDArray[np.int64]
    centre: FloatArray
    unit: FloatArray
    view: Neighbourhood
    link: Tensor | int
    hidden: int
    networks: AdversarialAutoencoder
    params: Params
    spread: Tensor
    history: dict[str, list[float]]
    own: tuple[FloatArray, FloatArray]

    @classmethod
    @torch.inference_mode(False)
    @plain_torch()
    @one_blas_thread
    @ONE_TORCH_THREAD.held()
    def fit(
        cls,
        front: Front,
        support: Support,
        recipe: AdversarialSettings,
        *,
        trim: float,
        neighbours: int,
        latent: int | None,
        hidden: int,
        on_step: Callable[[int, Losses], None] | None = None,
    ) -> tuple[Self, tuple[FloatArray, FloatArray]]:
        """Train on a data set; return too what is judged of its known anomalies.

        Raises
        ------
        DataError
            If fewer than 3 rows are normal or unlabelled.
        TrainingError
            As of `AdversarialFit.run`.
        """
        columns = front.order(support.columns)
        places = support.places[columns]
        typical, known = support.typical[:, places], support.known[:, places]
        centre, unit = front.scale(typical, known)
        exact, exact_odd = _scaled(typical, centre, unit), _scaled(known, centre, unit)
        normal = int((support.labels == NORMAL).sum())  # they stand first
        trusted = torch.cat([torch.arange(normal), normal + inner_rows(exact[normal:], trim)])
        rows, odd = exact[trusted].float(), exact_odd.float()
        generator = torch.Generator().manual_seed(support.seed)
        kept = torch.randperm(len(rows), generator=generator)[:MOST_NEIGHBOURS].sort().values
        neighbours = min(neighbours, max(len(kept) // 3, 5))
        relative = has_shades(exact[trusted[kept]])
        view = Neighbourhood.of(rows[kept], odd, count=neighbours, relative=relative)
        link = front.link(rows, latent=latent, seed=support.seed)
        networks = _networks(front, link, view, hidden)
        training = AdversarialFit(networks, view, rows, odd, recipe, seed=support.seed)
        training.run(on_step)
        params = {name: value.double() for name, value in training.params.items()}
        view = Neighbourhood.of(
            exact[trusted[kept]], exact_odd, count=neighbours, relative=relative
        )
        with torch.no_grad():
            codes = networks.coder.encode(params, exact[None, trusted])
            spread = spread_of(codes, torch.ones(1, len(rows), dtype=torch.bool))
        fitted = cls(
            front=front,
            columns=columns,
            centre=centre,
            unit=unit,
            view=view,
            link=link,
            hidden=hidden,
            networks=networks,
            params=params,
            spread=spread,
            history=training.history,
            own=_judged(networks, view, params, exact),
        )
        return fitted, fitted.judged(exact_odd)

    def read(self, X: Any) -> Tensor:
        """Bring X to scaled rows (n, d); errors as of the front."""
        return _scaled(self.front.numbers(X)[:, self.columns], self.centre, self.unit)

    @plain_torch()
    def judged(self, rows: Tensor) -> tuple[FloatArray, FloatArray]:
        """Logits (n,) of rows (n, d), and their reconstruction errors in logarithms (n,)."""
        return _judged(self.networks, self.view, self.params, rows)

    @plain_torch()
    def reconstructed(self, rows: Tensor) -> FloatArray:
        """Encode and decode rows (n, d), back to the numbers that the front gives."""
        with torch.no_grad():
            coder = self.networks.coder
            return self.unscaled(
                coder.decode(self.params, coder.encode(self.params, rows[None]))[0]
            )

    @plain_torch()
    def virtual(self, rows: Tensor, *, reach: tuple[float, float], seed: int) -> FloatArray:
        """Make a virtual anomaly out of each of the rows (n, d), in the front's numbers."""
        size = (1, len(rows), self.networks.coder.codes)
        chance = Chance.draw(size, torch.Generator().manual_seed(seed), reach=reach, far=0.0)
        with torch.no_grad():
            least = self.view.typical
            made = self.networks.virtual(self.params, rows[None], chance, self.spread, least=least)
        return self.unscaled(made[0])

    def unscaled(self, rows: Tensor) -> FloatArray:
        """Bring scaled rows (n, d) back to the front's numbers, in the front's order."""
        numbers = rows.numpy() * self.unit + self.centre
        return np.asarray(numbers[:, np.argsort(self.columns)])

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what `from_state` needs, as JSON and as arrays."""
        settings, arrays = self.front.state()
        tensors = {
            **{f"front.{name}": array for name, array in arrays.items()},
            **{f"network.{name}": value.numpy() for name, value in self.params.items()},
            **{f"view.{n}": getattr(self.view, n).numpy() for n in ("rows", "known")},
            "columns": np.asarray(self.columns, np.int64),
            "centre": self.centre,
            "unit": self.unit,
            "spread": self.spread.numpy(),
            "logits": self.own[0],
            "errors": self.own[1],
        }
        if isinstance(self.link, Tensor):
            tensors["link"] = self.link.numpy()
        meta = {
            "front": settings,
            "neighbours": self.view.count,
            "relative": self.view.relative,
            "hidden": self.hidden,
            "history": self.history,
        }
        return meta, tensors

    @classmethod
    @plain_torch()
    def from_state(cls, settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Restore what gave a state."""
        front = front_of(settings["front"], under("front.", arrays))
        rows, known = (torch.tensor(arrays[f"view.{name}"]) for name in ("rows", "known"))
        relative = settings.get("relative", True)  # older versions wrote none
        view = Neighbourhood.of(rows, known, count=settings["neighbours"], relative=relative)
        network = under("network.", arrays)
        link = torch.tensor(arrays["link"]) if "link" in arrays else len(arrays["columns"])
        return cls(
            front=front,
            columns=arrays["columns"],
            centre=arrays["centre"],
            unit=arrays["unit"],
            view=view,
            link=link,
            hidden=settings["hidden"],
            networks=_networks(front, link, view, settings["hidden"]),
            params={name: torch.tensor(array) for name, array in network.items()},
            spread=torch.tensor(arrays["spread"]),
            history=settings["history"],
            own=(arrays["logits"], arrays["errors"]),
        )


def _networks(
    front: Front, link: Tensor | int, view: Neighbourhood, hidden: int
) -> AdversarialAutoencoder:
    coder = front.coder(link, hidden=hidden)
    return AdversarialAutoencoder(coder, view.width, hidden=hidden)


def _scaled(rows: FloatArray, centre: FloatArray, unit: FloatArray) -> Tensor:
    return torch.from_numpy((rows - centre) / unit)


def _judged(
    networks: AdversarialAutoencoder, view: Neighbourhood, params: Params, rows: Tensor
) -> tuple[FloatArray, FloatArray]:
    logits, errors = [np.zeros(0)], [np.zeros(0)]
    with torch.no_grad():
        for block in torch.split(rows, BLOCK_ROWS) if len(rows) else ():
            logits.append(networks.score(params, view(block)[None])[0].numpy())
            again = networks.coder.decode(params, networks.coder.encode(params, block[None]))[0]
            errors.append(((again - block).square().mean(1) + 1e-9).log().numpy())
    return np.concatenate(logits), np.concatenate(errors)
