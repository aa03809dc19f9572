"""What a measured row of a fused kernel says: its cascade, from its columns.

Columns are those of `measure.fused_shapes`. What torch does in their place was measured beside them
and is no kernel that is predicted: several calls, of which a row has the time together.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads import recurrence
from hwmodel.einsum.workloads.fft_convolution import fft_convolution
from hwmodel.einsum.workloads.kmeans import kmeans
from hwmodel.einsum.workloads.norm_quantise import norm_quantise
from hwmodel.einsum.workloads.power_attention import power_attention
from hwmodel.einsum.workloads.rational_backward import rational_backward
from hwmodel.validation import windows

Columns = Mapping[str, Any]

SIZES: Mapping[str, tuple[str, ...]] = {
    "power_attention": ("batch", "heads", "tokens", "features", "values"),
    "chunk_scan": ("batch", "heads", "tokens", "state", "values"),
    "delta_rule": ("batch", "heads", "tokens", "state", "values"),
    "kmeans_assignment": ("points", "clusters", "dimensions"),
    "kmeans_update": ("points", "clusters", "dimensions", "largest_cluster"),
    "fft_convolution": ("batch", "channels"),
    "rational_backward": ("rows", "cols", "groups"),
    "depthwise": ("batch", "height", "width", "channels", "tall", "wide"),
    "norm_quantise": ("rows", "cols"),
}
"""Family -> the sizes that a row of it states."""

SIDES = ("above", "below", "left", "right")
PLAIN = ("family", "kernel", "dtype")
FORMS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(SIZES, PLAIN),
    "kmeans_assignment": (*PLAIN, "form"),
    "kmeans_update": (*PLAIN, "skewed"),
    "fft_convolution": (*PLAIN, "length", "gated"),
    "depthwise": (*PLAIN, "stride", *SIDES),
}
"""What rows of one group share."""


def attention(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """Attention by powers of scores."""
    return power_attention(**sizes, dtype=str(columns["dtype"]))


def scan(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """Mamba-2's recurrence or the delta rule, each head with keys of its own."""
    heads = sizes["heads"]
    widths = {"key_dim": sizes["state"], "value_dim": sizes["values"]}
    rule = "delta" if columns["family"] == "delta_rule" else "linear"
    kinds: dict[str, Any] = {"dtype": str(columns["dtype"]), "rule": rule}
    return recurrence.chunked(sizes["batch"], sizes["tokens"], heads, heads, **widths, **kinds)


def assignment(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """Nearest centroids."""
    return kmeans(
        sizes["points"], sizes["clusters"], sizes["dimensions"], dtype=str(columns["dtype"])
    )


def cluster_sums(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """Sums over as many points as a cluster has; what the fullest has beyond its equal share."""
    text = "rank t(x) ~ hot(points, 1, share)\nY[x, c] = sum(t) S[x, t, c]"
    named = {"x": sizes["clusters"], "c": sizes["dimensions"], "points": sizes["points"]}
    equal = 1 / sizes["clusters"]
    fullest = sizes["largest_cluster"] / sizes["points"]
    others = np.maximum(1 - equal, 1e-9)  # of one cluster there are none
    named["share"] = np.clip((fullest - equal) / others, 0, 1)
    kinds = {"S": str(columns["dtype"]), "Y": "fp32"}
    return parse(text, sizes=named, dtypes=kinds, name="cluster sums")


def convolution(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """A long convolution by transforms."""
    return fft_convolution(
        sizes["batch"],
        sizes["channels"],
        int(columns["length"]),
        gated=bool(columns["gated"]),
        dtype=str(columns["dtype"]),
    )


def gradients(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """Gradients of a rational function."""
    return rational_backward(**sizes, dtype=str(columns["dtype"]))


def depthwise(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """A window of its own for each channel, channels last."""
    stride = int(columns["stride"])
    above, below, left, right = (int(columns[side]) for side in SIDES)
    told = {
        **{"op": "conv", "layout": "last", "dims": 2, "stride": stride},
        **{"pad": f"{above}:{below}x{left}:{right}", "dtype": columns["dtype"]},
    }
    channels = sizes["channels"]
    named = {name: sizes[name] for name in ("batch", "height", "width")}
    named |= {"groups": channels, "channels": channels, "filters": channels}
    return windows.convolution(told, named | {"taps_h": sizes["tall"], "taps_w": sizes["wide"]})


def normed(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """Residual, norm and e4m3."""
    return norm_quantise(**sizes, dtype=str(columns["dtype"]))


MADE: Mapping[str, Callable[[Columns, Mapping[str, Any]], Cascade]] = {
    "power_attention": attention,
    "chunk_scan": scan,
    "delta_rule": scan,
    "kmeans_assignment": assignment,
    "kmeans_update": cluster_sums,
    "fft_convolution": convolution,
    "rational_backward": gradients,
    "depthwise": depthwise,
    "norm_quantise": normed,
}
"""Family -> the cascade of rows of one form."""


def beside(columns: Columns) -> bool:
    """Whether a row is what torch does in a fused kernel's place."""
    return columns.get("family") in SIZES and columns["kernel"] == "torch"
