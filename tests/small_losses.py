"""A loss whose slope and curvature are known, and neither is constant."""

import torch

from oddshot.networks import SmoothLoss


class Curved(SmoothLoss):
    """``sum(w cos(output))``: neither its slope nor its curvature is constant."""

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, outputs):
        return (self.weights * torch.cos(outputs)).sum((1, 2))

    def slope(self, outputs):
        return -self.weights * torch.sin(outputs)

    def curvature(self, outputs):
        return -self.weights * torch.cos(outputs)
