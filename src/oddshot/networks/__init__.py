"""Networks that many tasks run side by side, and encoders whose parameters they share."""

from oddshot.networks.coders import Coder, ConvolutionalCoder, PerceptronCoder
from oddshot.networks.convolution import ConvolutionalNetwork
from oddshot.networks.encoders import (
    ENCODERS,
    ConvolutionalEncoder,
    Encoder,
    PerceptronEncoder,
    ResidualEncoder,
)
from oddshot.networks.known_modules import from_module
from oddshot.networks.modules import ModuleNetwork
from oddshot.networks.monotone import MonotonePerceptron
from oddshot.networks.network import (
    Loss,
    Network,
    Params,
    Rates,
    Statistics,
    autograd_gradient,
    part_of,
    redirect,
    step_down,
)
from oddshot.networks.perceptron import Perceptron
from oddshot.networks.smooth_losses import SmoothCrossEntropy, SmoothLoss, SmoothSquaredError

__all__ = [
    "ENCODERS",
    "Coder",
    "ConvolutionalCoder",
    "ConvolutionalEncoder",
    "ConvolutionalNetwork",
    "Encoder",
    "Loss",
    "ModuleNetwork",
    "MonotonePerceptron",
    "Network",
    "Params",
    "Perceptron",
    "PerceptronCoder",
    "PerceptronEncoder",
    "Rates",
    "ResidualEncoder",
    "SmoothCrossEntropy",
    "SmoothLoss",
    "SmoothSquaredError",
    "Statistics",
    "autograd_gradient",
    "from_module",
    "part_of",
    "redirect",
    "step_down",
]
