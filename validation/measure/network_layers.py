"""Convolutions of the image networks that are shipped, at drawn batches: each layer as a case.

Pads are half a window, as torch's networks have them; a layer whose map then comes out otherwise
is left out. Windows of one point, of several, of groups and of single channels come in turn, as
most layers are of the first kind.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import cycle
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.families import network, variants
from hwmodel.einsum.workloads.layer import Layer
from hwmodel.validation.measure.shapes import Case
from hwmodel.validation.measure.window_shapes import (
    convolution,
    formats,
    images,
    joined,
    kind,
    sided,
)
from hwmodel.validation.windows import axes

SLID = ("conv", "depthwise")


def shape_of(layer: Layer) -> dict[str, Any] | None:
    """A layer's columns but for its batch, format and layout; None where pads are uneven."""
    window = layer.window
    shape: dict[str, Any] = {
        "dims": 2,
        "groups": layer.channels if layer.kind == "depthwise" else layer.groups,
        "channels": layer.channels,
        "filters": layer.filters,
        "stride": joined(layer.steps),
        "dilation": 1,
        "pad": joined(tuple(taps // 2 if taps % 2 else 0 for taps in window)),
    }
    shape |= sided((layer.height, layer.width), window)
    made = tuple(axis.outputs for axis in axes(shape))
    return shape if made == (layer.out_height, layer.out_width) else None


def sort_of(shape: dict[str, Any]) -> str:
    """Which of four kinds a layer is."""
    if shape["groups"] > 1:
        return "depthwise" if shape["groups"] == shape["channels"] else "grouped"
    return "several" if shape["taps_h"] * shape["taps_w"] > 1 else "one"


@lru_cache(maxsize=1)
def shapes() -> dict[str, tuple[dict[str, Any], ...]]:
    """Every convolution of every network, once each, by its kind."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in sorted(variants()):
        for layer in network(name).layers:
            shape = shape_of(layer) if layer.kind in SLID else None
            if shape is not None:
                found.setdefault(sort_of(shape), {})[str(shape)] = shape
    return {sort: tuple(each.values()) for sort, each in sorted(found.items())}


def network_cases(seed: int) -> Iterator[Case]:
    """Layers in random order, kind by kind, endlessly, in drawn batches, formats and layouts."""
    rng = np.random.default_rng([seed, *b"network"])
    for known in cycle(shapes().values()):
        shape = known[rng.integers(len(known))]
        whole = kind(rng, 2) | {"batch": images(rng)} | shape
        yield convolution(formats(rng, "tf32"), whole)
