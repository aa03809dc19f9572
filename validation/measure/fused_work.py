"""What fused kernels of the literature must do: operations, bytes in, and bytes in and out once.

By family, from the columns of a case and the bytes of an element; see `fused_shapes`.
"""

from collections.abc import Callable, Mapping
from typing import Any

Work = tuple[float, float, float]
"""FLOPs, bytes of the inputs, bytes of inputs and output once each."""


def power_attention(s: Mapping[str, Any], item: int) -> Work:
    """Products inside of chunks of 64 tokens, and with the state."""
    each = float(s["batch"]) * s["heads"] * s["tokens"]
    d, dv = s["features"], s["values"]
    flop = 2 * each * (64 * (d + dv) + 2 * (d + d * d) * dv)
    return flop, each * (2 * d + dv) * item, each * 2 * (d + dv) * item


def chunk_scan(s: Mapping[str, Any], item: int) -> Work:
    """The same with a state of d rows; decays are fp32."""
    each = float(s["batch"]) * s["heads"] * s["tokens"]
    d, dv = s["state"], s["values"]
    read = each * ((2 * d + dv) * item + 4)
    return 2 * each * (64 * (d + dv) + 2 * d * dv), read, read + each * dv * item


def delta_rule(s: Mapping[str, Any], item: int) -> Work:
    """The same with a system of each chunk; gates and shares are fp32."""
    each = float(s["batch"]) * s["heads"] * s["tokens"]
    d, dv = s["state"], s["values"]
    read = each * ((2 * d + dv) * item + 8)
    return 2 * each * (64 * (2 * d + 64 + 3 * dv) + 3 * d * dv), read, read + each * dv * item


def assignment(s: Mapping[str, Any], item: int) -> Work:
    """A product of points and centroids."""
    n, k, d = float(s["points"]), float(s["clusters"]), float(s["dimensions"])
    return 2 * n * k * d, (n + k) * d * item, (n + k) * d * item + 4 * n


def cluster_sums(s: Mapping[str, Any], item: int) -> Work:
    """Points and labels in, sums out."""
    n, k, d = float(s["points"]), float(s["clusters"]), float(s["dimensions"])
    return n * d, n * d * item, n * (d * item + 4) + 4 * k * (d + 1)


def fft_convolution(s: Mapping[str, Any], item: int) -> Work:
    """Two products a pair of sequences with matrices of the root of their length."""
    size = float(s["batch"]) * s["channels"] * s["length"]
    inputs = (3 if s["gated"] else 1) * size * item
    return 16 * size * float(s["length"]) ** 0.5, inputs, inputs + size * item


def rational_backward(s: Mapping[str, Any], item: int) -> Work:
    """Of x and its gradient in, of x out."""
    size = float(s["rows"]) * s["cols"] * item
    return 0.0, 2 * size, 3 * size


def depthwise(s: Mapping[str, Any], item: int) -> Work:
    """An image in, one out."""
    size = float(s["batch"]) * s["height"] * s["width"] * s["channels"] * item
    return 0.0, size, size * (1 + 1 / s["stride"] ** 2)


def norm_quantise(s: Mapping[str, Any], item: int) -> Work:
    """Two tensors in, their sum and a byte an element out."""
    size = float(s["rows"]) * s["cols"]
    return 0.0, 2 * size * item, size * (3 * item + 1)


WORK: dict[str, Callable[[Mapping[str, Any], int], Work]] = {
    "power_attention": power_attention,
    "chunk_scan": chunk_scan,
    "delta_rule": delta_rule,
    "kmeans_assignment": assignment,
    "kmeans_update": cluster_sums,
    "fft_convolution": fft_convolution,
    "rational_backward": rational_backward,
    "depthwise": depthwise,
    "norm_quantise": norm_quantise,
}
