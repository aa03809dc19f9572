"""What scaling a convolutional network does to its operations, weights and activations.

Depth d, width w and resolution r of a network cost (Dollar, Singh, Girshick, "Fast and Accurate
Model Scaling", CVPR 2021, arXiv 2103.06877, section 3)

    operations ~ d w^2 r^2,   weights ~ d w^2,   activations ~ d w r^2

activations being the elements that convolutions write. To multiply operations by s, d = s^e_d,
w = s^(e_w / 2), r = s^(e_r / 2) with e_d + e_w + e_r = 1; then weights grow by s^(e_d + e_w) and
activations by s^(e_d + e_w/2 + e_r). Runtime on accelerators follows activations rather than
operations, so fast scaling puts most of s into width: e_w = alpha, 0.8 in the paper.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.workloads.layer import WEIGHTED, Network
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

Array = NDArray[np.float64]

FAST_ALPHA = 0.8
"""Share of width in the paper's fast scaling."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """Factors of a scaled network against its original."""

    depth: Amount
    width: Amount
    resolution: Amount
    flop: Amount
    weights: Amount
    activations: Amount


def scaled(factor: Amount, depth: float, width: float, resolution: float) -> Scaled:
    """The network with `factor` times the operations, put into depth, width and resolution.

    The three exponents are shares of the factor: raises `InputError` unless they sum to 1.
    """
    if abs(depth + width + resolution - 1) > 1e-9 or min(depth, width, resolution) < 0:
        raise InputError(
            "scaled: expected shares of depth, width and resolution of 0 or more that sum to 1,"
            f" found {depth}, {width}, {resolution}"
        )
    d, w, r = factor**depth, factor ** (width / 2), factor ** (resolution / 2)
    return Scaled(d, w, r, d * w**2 * r**2, d * w**2, d * w * r**2)


def fast(factor: Amount, alpha: float = FAST_ALPHA) -> Scaled:
    """Fast scaling: the share `alpha` to width, the rest to depth and resolution alike."""
    return scaled(factor, (1 - alpha) / 2, alpha, (1 - alpha) / 2)


def activations(network: Network) -> int:
    """Elements that the network's convolutions write."""
    convolutions = (layer for layer in network.layers if layer.kind in WEIGHTED)
    return sum(layer.outputs_elements for layer in convolutions if layer.kind != "linear")


def runtime_coefficients(activations: Array, macs: Array, time: Array) -> tuple[float, float]:
    """Time of an activation and of a multiply-accumulate, by least squares over networks.

    time = a activations + b macs, of relative errors, neither coefficient below 0; units are those
    of the arrays.
    """
    from scipy import optimize  # costly, and only a fit needs it

    terms = np.stack([activations, macs], axis=1) / np.asarray(time)[:, None]
    found = optimize.nnls(terms, np.ones(len(terms)))[0]
    return float(found[0]), float(found[1])
