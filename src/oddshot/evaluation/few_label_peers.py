"""The field's networks for few labels, at their authors' settings.

None of them comes with a package that takes a seed and leaves global generators alone, so the five
stand here, each in a few lines. Columns are standardised, or brought to 0 to 1 where the authors do
so. What the authors leave open is PyTorch's default. All draws come from one generator; unlabelled
rows are taken for normal where a paper takes them so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from oddshot.episodes import ANOMALY, FloatArray, LabelArray, Rows
from oddshot.errors import DataError
from oddshot.evaluation.models import Scorer
from oddshot.mapping.encoding.encoder import Encoder

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Score: TypeAlias = Callable[[Tensor], Tensor]
    Train: TypeAlias = Callable[[Tensor, Tensor, torch.Generator], Score]

BATCHES, BATCH = 20, 512  # of DevNet, PReNet and FEAWAD: batches an epoch, rows a batch
EPOCHS, WIDTH = 50, 20  # of DevNet and PReNet: epochs, hidden units


@dataclass(frozen=True, slots=True)
class FewLabelNetwork:
    """A network that learns from a few known anomalies and the other rows.

    Parameters
    ----------
    name
        As the results and the command line call it.
    train
        Scaled rows (n, d), labels (n,) and a generator to a function from rows to scores.
    scaler
        What scales the columns: scikit-learn's ``StandardScaler`` or ``MinMaxScaler``.
    needs_labels, ignores_labels, needs
        As of `Peer`.
    """

    name: str
    train: "Train"
    scaler: Callable[[], Any] = StandardScaler
    needs_labels: bool = True
    ignores_labels: bool = False
    needs: tuple[str, ...] = ()

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Train on these rows alone.

        Raises
        ------
        DataError
            No anomaly is known, or nothing else.
        """
        import torch  # noqa: PLC0415 - takes seconds to import

        if not 0 < int((labels == ANOMALY).sum()) < len(labels):
            raise DataError(f"{self.name} needs known anomalies and other rows")
        encoder = Encoder().fit(rows)
        scaler = self.scaler().fit(encoder.transform(rows))

        def numbers(rows: Rows) -> "Tensor":
            return torch.tensor(scaler.transform(encoder.transform(rows)), dtype=torch.float32)

        torch.set_num_threads(threads)
        generator = torch.Generator().manual_seed(seed)
        score = self.train(numbers(rows), torch.tensor(labels), generator)

        def scorer(rows: Rows) -> FloatArray:
            with torch.no_grad():
                return np.asarray(score(numbers(rows)).double().numpy())

        return scorer


def dev_net(rows: "Tensor", labels: "Tensor", generator: "torch.Generator") -> "Score":
    """Deviation network (Pang, Shen and van den Hengel 2019, Algorithm 1, equations 5 to 7).

    One hidden layer, ridge 0.01 on it, RMSprop with gradients cut to norm 1, margin 5; batches are
    half known anomalies and half other rows. The weights of the epoch with the least loss are kept.
    """
    import torch  # noqa: PLC0415 - takes seconds to import

    odd, rest = rows[labels == ANOMALY], rows[labels != ANOMALY]
    hidden, out = (_dense(*size, generator) for size in ((rows.shape[1], WIDTH), (WIDTH, 1)))

    def score(rows: "Tensor") -> "Tensor":
        scores: Tensor = out(torch.relu(hidden(rows)))[:, 0]
        return scores

    def loss() -> "Tensor":
        reference = torch.randn(5000, generator=generator)
        batch = torch.cat([_drawn(odd, BATCH // 2, generator), _drawn(rest, BATCH // 2, generator)])
        deviation = (score(batch) - reference.mean()) / reference.std()
        far, near = (5.0 - deviation[: BATCH // 2]).clamp(min=0), deviation[BATCH // 2 :].abs()
        return (far.mean() + near.mean()) / 2 + _ridge(hidden)

    _descend(loss, _rms_prop(hidden, out), epochs=EPOCHS, clip=1.0)
    return score


def pre_net(rows: "Tensor", labels: "Tensor", generator: "torch.Generator") -> "Score":
    """Pairwise relation network (Pang et al. 2023, Algorithm 1, equations 2 to 4).

    Pairs of two unlabelled rows, of an anomaly and an unlabelled row, and of two anomalies, as
    2 : 1 : 1 in a batch, are told apart by a regression on 0, 4 and 8. A row's score is the mean of
    what it gives with 30 anomalies and with 30 unlabelled rows. Ridge 0.01 on the shared layer.
    """
    import torch  # noqa: PLC0415 - takes seconds to import

    odd, rest = rows[labels == ANOMALY], rows[labels != ANOMALY]
    hidden, out = (_dense(*size, generator) for size in ((rows.shape[1], WIDTH), (2 * WIDTH, 1)))
    quarter = BATCH // 4
    target = torch.tensor([0.0, 4.0, 8.0]).repeat_interleave(
        torch.tensor([2 * quarter, quarter, quarter])
    )

    def relation(first: "Tensor", second: "Tensor") -> "Tensor":
        pair = [torch.relu(hidden(first)), torch.relu(hidden(second))]
        related: Tensor = out(torch.cat(pair, -1))[..., 0]
        return related

    def loss() -> "Tensor":
        first = [_drawn(rest, 2 * quarter, generator), _drawn(odd, 2 * quarter, generator)]
        second = [_drawn(rest, 3 * quarter, generator), _drawn(odd, quarter, generator)]
        error = (relation(torch.cat(first), torch.cat(second)) - target).abs().mean()
        return error + _ridge(hidden)

    _descend(loss, _rms_prop(hidden, out), epochs=EPOCHS, clip=1.0)
    partners = [_drawn(part, 30, generator) for part in (odd, rest)]

    def score(rows: "Tensor") -> "Tensor":
        with_odd = [relation(one.expand(len(rows), -1), rows) for one in partners[0]]
        with_rest = [relation(rows, one.expand(len(rows), -1)) for one in partners[1]]
        return torch.stack(with_odd + with_rest).mean(0)

    return score


def deep_sad(rows: "Tensor", labels: "Tensor", generator: "torch.Generator") -> "Score":
    """Deep semi-supervised anomaly detection (Ruff et al. 2020, equation 7, eta = 1).

    Layers of 32, 16 and 8 (128, 64 and 32 above 100 columns) without offsets, batch normalisation
    without weights, leaky ReLU; 150 epochs of an autoencoder, then 150 of the encoder, at a rate of
    1e-3 and a tenth of it from the 50th on. (The authors' trainer starts at 1e-3; the 1e-4 of their
    example for images hardly trains a table of some hundred rows.) Known normal rows pull like
    unlabelled ones, as eta = 1 has it.
    """
    import torch  # noqa: PLC0415 - takes seconds to import

    wide = rows.shape[1] > 100
    sizes = [rows.shape[1], *((128, 64, 32) if wide else (32, 16, 8))]
    encoder = _normalised(sizes, generator)
    decoder = _normalised(sizes[::-1], generator)
    whole = torch.nn.Sequential(encoder, torch.nn.LeakyReLU(), decoder)

    def rebuilt(rows: "Tensor", _: "Tensor") -> "Tensor":
        error: Tensor = (whole(rows) - rows).square().sum(1).mean()
        return error

    _epochs(rebuilt, whole, rows, labels, generator, decay=0.5e-3)
    encoder.eval()
    with torch.no_grad():
        centre = encoder(rows).mean(0)
    sign = torch.where(centre < 0, -1.0, 1.0)
    centre = torch.where(centre.abs() < 0.1, 0.1 * sign, centre)

    def distance(rows: "Tensor") -> "Tensor":
        far: Tensor = (encoder(rows) - centre).square().sum(1)
        return far

    def loss(rows: "Tensor", labels: "Tensor") -> "Tensor":
        far = distance(rows) + 1e-6
        return torch.where(labels == ANOMALY, 1 / far, far).mean()

    encoder.train()
    _epochs(loss, encoder, rows, labels, generator, decay=0.5e-6)
    encoder.eval()
    return distance


def rosas(rows: "Tensor", labels: "Tensor", generator: "torch.Generator") -> "Score":
    """RoSAS (Xu et al. 2023): continuous supervision from mixtures of rows.

    A row x has an embedding z (32) and a score s between -1 and 1. A batch holds 128 triplets of
    two unlabelled rows a, p and a known anomaly n, whose targets y are -1, -1 and 1. Mass
    interpolation mixes every row i of the batch with another one j, by a share m of Beta(0.5, 0.5),
    into m x_i + (1 - m) x_j; the score s of that is to be what labels and scores of both say::

        L_score = H(s - m y_i - (1 - m) y_j) + H(s - m s_i - (1 - m) s_j),    H: Huber's loss
        L_embedding = max(0, |z_a - z_p| - |z_a - z_n| + 5)

    Both count half. The paper stops training by the labels of a validation part, which few labels
    do not leave, and is overfitted without; so sizes, rates and weights are those of the authors'
    library (DeepOD), which has no such part: 100 epochs of n / 128 batches, Adam at 0.005.
    """
    import torch  # noqa: PLC0415 - takes seconds to import
    from torch.nn.functional import (  # noqa: PLC0415 - takes seconds to import
        leaky_relu,
        smooth_l1_loss,
        triplet_margin_loss,
    )

    odd, rest = rows[labels == ANOMALY], rows[labels != ANOMALY]
    sizes, triplets = [rows.shape[1], 32, 32, 16], 128
    first, embedding, hidden = (_dense(*size, generator, bias=False) for size in pairwise(sizes))
    out = _dense(sizes[-1], 1, generator)
    target = torch.tensor([[-1.0], [-1.0], [1.0]]).repeat_interleave(triplets, 0)

    def embedded(rows: "Tensor") -> "Tensor":
        places: Tensor = embedding(leaky_relu(first(rows)))
        return places

    def judged(places: "Tensor") -> "Tensor":
        scores: Tensor = torch.tanh(out(leaky_relu(hidden(places))))
        return scores

    def loss() -> "Tensor":
        batch = torch.cat([_drawn(rest, 2 * triplets, generator), _drawn(odd, triplets, generator)])
        other = torch.randperm(len(batch), generator=generator)
        angle = torch.rand(len(batch), 1, generator=generator) * torch.pi / 2
        share = angle.sin().square()  # Beta(0.5, 0.5) is the arcsine law

        def mixed(values: "Tensor") -> "Tensor":
            return torch.lerp(values[other], values, share)

        places = embedded(torch.cat([batch, mixed(batch)]))
        scores, between = judged(places).chunk(2)
        by_score = smooth_l1_loss(between, mixed(target)) + smooth_l1_loss(between, mixed(scores))
        anchor, near, far = places[: len(batch)].chunk(3)
        return (by_score + triplet_margin_loss(anchor, near, far, margin=5.0)) / 2

    layers = torch.nn.ModuleList([first, embedding, hidden, out])
    optimiser = torch.optim.Adam(layers.parameters(), lr=0.005, weight_decay=1e-5)
    for _ in range(100 * max(1, len(rows) // triplets)):
        optimiser.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return lambda rows: judged(embedded(rows))[:, 0]


def feawad(rows: "Tensor", labels: "Tensor", generator: "torch.Generator") -> "Score":
    """FEAWAD (Zhou et al. 2021): an autoencoder's view of a row, judged by a deviation network.

    A rectified autoencoder (d, d, 128, 64, 128, d; columns of 0 to 1) first learns to rebuild
    unlabelled rows, 100 epochs of Adam at 1e-4. Then all is trained together, 30 epochs: the code,
    the direction of the residual and its length e go through 256 and 32 units to a score s, and e
    joins every layer anew. Half of a batch are known anomalies, y = 1::

        L = (1 - y) (|s| + e) + y (max(0, 5 - s) + max(0, 5 - e))

    The weights of the epoch with the least loss are kept both times.
    """
    import torch  # noqa: PLC0415 - takes seconds to import

    odd, rest = rows[labels == ANOMALY], rows[labels != ANOMALY]
    columns, margin = rows.shape[1], 5.0
    encoder = _rectified([columns, columns, 128, 64], generator)
    decoder = _rectified([64, 128, columns], generator)
    wide, narrow, out = (
        _dense(*size, generator) for size in ((columns + 65, 256), (257, 32), (33, 1))
    )

    def rebuilt() -> "Tensor":
        batch = _drawn(rest, BATCH, generator)
        error: Tensor = (decoder(encoder(batch)) - batch).square().mean()
        return error

    def view(rows: "Tensor") -> tuple["Tensor", "Tensor"]:
        code = encoder(rows)
        residual = rows - decoder(code)
        error = residual.norm(dim=1, keepdim=True)
        seen = torch.cat([residual / error.clamp(min=1e-12), code], 1)
        for layer in (wide, narrow):
            seen = torch.relu(layer(torch.cat([seen, error], 1)))
        return out(torch.cat([seen, error], 1))[:, 0], error[:, 0]

    def loss() -> "Tensor":
        batch = torch.cat([_drawn(odd, BATCH // 2, generator), _drawn(rest, BATCH // 2, generator)])
        scores, errors = view(batch)
        both = torch.stack([scores, errors])
        far, near = (margin - both[:, : BATCH // 2]).clamp(min=0), both[:, BATCH // 2 :].abs()
        return (far.sum() + near.sum()) / BATCH

    autoencoder = [*encoder.parameters(), *decoder.parameters()]
    _descend(rebuilt, torch.optim.Adam(autoencoder, lr=1e-4), epochs=100)
    layers = torch.nn.ModuleList([encoder, decoder, wide, narrow, out])
    _descend(loss, torch.optim.Adam(layers.parameters(), lr=1e-4), epochs=30)
    return lambda rows: view(rows)[0]


def _ridge(layer: Any) -> "Tensor":
    penalty: Tensor = 0.01 * layer.weight.square().sum()
    return penalty


def _dense(inputs: int, outputs: int, generator: "torch.Generator", *, bias: bool = True) -> Any:
    """Make a layer that starts as Glorot and Bengio 2010 have it."""
    import torch  # noqa: PLC0415 - takes seconds to import

    layer: Any = torch.nn.Linear(inputs, outputs, bias=bias, device="meta")  # draws nothing
    layer = layer.to_empty(device="cpu")
    with torch.no_grad():
        reach = (6 / (inputs + outputs)) ** 0.5
        layer.weight.uniform_(-reach, reach, generator=generator)
        if bias:
            layer.bias.zero_()
    return layer


def _normalised(sizes: list[int], generator: "torch.Generator") -> Any:
    """Layers of these widths; all but the last are normalised and bent."""
    from torch.nn import BatchNorm1d, LeakyReLU, Sequential  # noqa: PLC0415 - takes seconds

    layers: list[Any] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers.append(_dense(inputs, outputs, generator, bias=False))
        layers += [BatchNorm1d(outputs, eps=1e-4, affine=False), LeakyReLU()]
    return Sequential(*layers, _dense(sizes[-2], sizes[-1], generator, bias=False))


def _rectified(sizes: list[int], generator: "torch.Generator") -> Any:
    """Layers of these widths, the last one rectified, too."""
    from torch.nn import ReLU, Sequential  # noqa: PLC0415 - takes seconds to import

    layers: list[Any] = []
    for size in pairwise(sizes):
        layers += [_dense(*size, generator), ReLU()]
    return Sequential(*layers)


def _drawn(rows: "Tensor", count: int, generator: "torch.Generator") -> "Tensor":
    import torch  # noqa: PLC0415 - takes seconds to import

    return rows[torch.randint(len(rows), (count,), generator=generator)]


def _rms_prop(*layers: Any) -> Any:
    """Return the optimiser of DevNet and PReNet."""
    import torch  # noqa: PLC0415 - takes seconds to import

    weights = [weight for layer in layers for weight in layer.parameters()]
    return torch.optim.RMSprop(weights, lr=1e-3, alpha=0.9, eps=1e-7)


def _descend(
    loss: Callable[[], "Tensor"], optimiser: Any, *, epochs: int, clip: float = float("inf")
) -> None:
    """Take epochs of `BATCHES` steps, gradients cut to a norm; keep the best epoch's weights."""
    import torch  # noqa: PLC0415 - takes seconds to import

    weights = optimiser.param_groups[0]["params"]
    least, best = float("inf"), [weight.detach().clone() for weight in weights]
    for _ in range(epochs):
        total = 0.0
        for _ in range(BATCHES):
            optimiser.zero_grad()
            now = loss()
            now.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights, clip)
            optimiser.step()
            total += float(now.detach())
        if total < least:
            least, best = total, [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, kept in zip(weights, best, strict=True):
            weight.copy_(kept)


def _epochs(
    loss: Callable[["Tensor", "Tensor"], "Tensor"],
    network: Any,
    rows: "Tensor",
    labels: "Tensor",
    generator: "torch.Generator",
    *,
    decay: float,
) -> None:
    """Go through the rows as Deep SAD does: batches of 128, Adam, a tenth of the rate at the end.

    A last batch of a single row is left out: it has no spread to normalise by.
    """
    import torch  # noqa: PLC0415 - takes seconds to import

    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [50])
    for _ in range(150):
        order = torch.randperm(len(rows), generator=generator)
        for batch in torch.split(order, 128):
            if len(batch) > 1:
                optimiser.zero_grad()
                loss(rows[batch], labels[batch]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        schedule.step()


FEW_LABEL_NETWORKS = (
    FewLabelNetwork("devnet", dev_net),
    FewLabelNetwork("prenet", pre_net),
    FewLabelNetwork("deep-sad", deep_sad),
    FewLabelNetwork("rosas", rosas, MinMaxScaler),
    FewLabelNetwork("feawad", feawad, MinMaxScaler),
)
