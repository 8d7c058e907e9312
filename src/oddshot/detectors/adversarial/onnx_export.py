"""The discriminator as an ONNX model, with all that brings numbers to what it reads."""

import importlib
import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from oddshot.detectors.adversarial.autoencoder import FittedAutoencoder
from oddshot.errors import DataError
from oddshot.networks.host import plain_torch
from oddshot.persistence import replace_file

REPLAYED = 64  # rows
TOLERANCE = 1e-3  # of logits: the file computes in single precision
_OPSET = 17


@plain_torch()
def write_scorer(fitted: FittedAutoencoder, path: Path) -> None:
    """Write C(x) of a fitted autoencoder, see `AAEDetector.export_onnx`.

    Raises
    ------
    DataError
        If a package is missing, the file cannot be written, or what it gives for rows that the
        detector knows is something else.
    """
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise DataError(
                f"{path} cannot be written without the package {package}; "
                'install it with pip install "oddshot[onnx]"'
            )
    numbers = torch.from_numpy(fitted.centre).expand(2, -1)
    # the exporter warns that PyTorch calls it legacy
    with warnings.catch_warnings(action="ignore"), TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Scorer(fitted).eval(),
            (numbers,),
            model,
            dynamo=False,
            opset_version=_OPSET,
            input_names=["numbers"],
            output_names=["score"],
            dynamic_axes={"numbers": {0: "n"}, "score": {0: "n"}},
        )
        content = model.read_bytes()
    _replay(content, fitted)
    try:
        replace_file(path, content)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); choose a file in a folder that exists"
        ) from error


def _replay(content: bytes, fitted: FittedAutoencoder) -> None:
    """Run the exported model on rows that the detector kept, and compare."""
    onnxruntime = importlib.import_module("onnxruntime")
    rows = fitted.view.rows[:REPLAYED]
    numbers = np.empty(tuple(rows.shape))
    numbers[:, fitted.columns] = rows.numpy() * fitted.unit + fitted.centre
    expected, _ = fitted.judged(
        torch.from_numpy((numbers[:, fitted.columns] - fitted.centre) / fitted.unit)
    )
    (found,) = onnxruntime.InferenceSession(content).run(["score"], {"numbers": numbers})
    off = float(np.abs(found - expected).max())
    if not off <= TOLERANCE:
        raise DataError(
            f"the exported model gives other scores than the detector (off by up to {off:.2g}) "
            "and is not written; use other versions of torch and onnxruntime"
        )


class _Scorer(torch.nn.Module):
    """Numbers (n, d) in the front's order to logits (n,)."""

    def __init__(self, fitted: FittedAutoencoder) -> None:
        super().__init__()
        self._view, self._networks = fitted.view, fitted.networks
        # onnxruntime has the discriminator's softplus in single precision alone
        self._params = {name: value.float() for name, value in fitted.params.items()}
        self._columns = torch.from_numpy(fitted.columns)
        self._centre, self._unit = map(torch.from_numpy, (fitted.centre, fitted.unit))

    def forward(self, numbers: Tensor) -> Tensor:
        """Order, scale, look at the neighbourhood, discriminate."""
        rows = (numbers[:, self._columns] - self._centre) / self._unit
        return self._networks.score(self._params, self._view(rows).float()[None])[0]
