"""Networks that many tasks run side by side, each with its own parameters."""

from oddshot.networks.convolution import ConvolutionalNetwork
from oddshot.networks.modules import ModuleNetwork, from_module
from oddshot.networks.network import (
    Loss,
    Network,
    Params,
    Rates,
    Statistics,
    autograd_gradient,
    redirect,
    step_down,
)
from oddshot.networks.perceptron import Perceptron
from oddshot.networks.smooth_losses import SmoothCrossEntropy, SmoothLoss, SmoothSquaredError

__all__ = [
    "ConvolutionalNetwork",
    "Loss",
    "ModuleNetwork",
    "Network",
    "Params",
    "Perceptron",
    "Rates",
    "SmoothCrossEntropy",
    "SmoothLoss",
    "SmoothSquaredError",
    "Statistics",
    "autograd_gradient",
    "from_module",
    "redirect",
    "step_down",
]
