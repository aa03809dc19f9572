"""Which convolutions and poolings are measured: layers of image networks, and seeded draws.

A third of the dense convolutions are layers of networks that users run, at drawn batches; the rest
are drawn: 1 to 7 taps a side (one window in ten is no square), strides, dilations, pads that keep
the side or none (a few differ between two ends), in one, two and three directions, forward and
transposed, channels first and last. Depthwise: a filter a channel. Grouped: 4 to 64 channels a
group. Columns are those of `validation/windows.py`.

Sources of the layers: the papers and published code of ResNet, VGG, EfficientNet, ConvNeXt,
Inception, DeepLab, the U-Net of Stable Diffusion and YOLO, recalled; they weigh which shapes are
measured, and nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from hwmodel.validation.measure.shapes import Case, draws, log_uniform, size, work
from hwmodel.validation.windows import DIRECTIONS, axes

LAYERS = (
    (3, 64, 224, 7, 2), (64, 64, 56, 1, 1), (64, 64, 56, 3, 1), (64, 256, 56, 1, 1),
    (256, 64, 56, 1, 1), (256, 128, 56, 1, 1), (128, 128, 56, 3, 2), (512, 128, 28, 1, 1),
    (128, 512, 28, 1, 1), (128, 128, 28, 3, 1), (1024, 256, 14, 1, 1), (256, 256, 14, 3, 1),
    (256, 1024, 14, 1, 1), (2048, 512, 7, 1, 1), (512, 512, 7, 3, 1), (512, 2048, 7, 1, 1),
    (256, 512, 56, 1, 2), (512, 1024, 28, 1, 2), (64, 64, 224, 3, 1), (128, 128, 112, 3, 1),
    (256, 256, 56, 3, 1), (512, 512, 28, 3, 1), (3, 96, 224, 4, 4), (96, 192, 56, 2, 2),
    (384, 768, 14, 2, 2), (16, 96, 112, 1, 1), (144, 24, 56, 1, 1), (240, 40, 28, 1, 1),
    (112, 672, 14, 1, 1), (320, 1280, 7, 1, 1), (320, 320, 64, 3, 1), (640, 640, 32, 3, 1),
    (1280, 1280, 16, 3, 1), (1280, 1280, 8, 3, 1), (4, 320, 64, 3, 1), (512, 512, 64, 3, 1),
    (256, 256, 256, 3, 1), (128, 128, 512, 3, 1), (3, 32, 640, 3, 2), (32, 64, 320, 3, 2),
    (64, 128, 160, 3, 2), (128, 128, 80, 3, 1), (3, 768, 224, 16, 16), (3, 1024, 336, 14, 14),
    (48, 64, 35, 5, 1), (192, 192, 17, 3, 1), (3, 24, 300, 3, 2), (960, 160, 7, 1, 1),
)  # fmt: skip
"""(channels, filters, side, taps, stride)."""
DEPTHWISE = (
    (32, 112, 3, 1), (96, 112, 3, 2), (144, 56, 5, 2), (240, 28, 3, 1), (480, 14, 5, 1),
    (672, 14, 5, 1), (1152, 7, 5, 1), (96, 56, 7, 1), (192, 28, 7, 1), (384, 14, 7, 1),
    (768, 7, 7, 1), (128, 56, 7, 1), (512, 14, 3, 1), (1024, 7, 3, 1), (64, 112, 3, 2),
)  # fmt: skip
"""(channels, side, taps, stride)."""
WIDTHS = (4, 8, 12, 16, 24, 32, 48, 64)
"""Channels of a group."""
SPREADS = ((2, 2, 0), (4, 2, 1), (3, 2, "1:0"), (3, 1, 1), (4, 4, 0), (5, 2, "2:1"))
"""(taps, stride, pad) of transposed convolutions."""
UPSAMPLES = ((16, 8, 4), (4, 2, 1), (11, 5, 3), (7, 3, 2))
"""The same along one direction, as vocoders have."""
MOST_BYTES, LEAST_MULTIPLIED = 1.2e9, 2e8
"""Most bytes of a call, and least FLOPs of one that is not in groups."""
MOST_MULTIPLIED = {"bf16": 8e11, "fp16": 8e11, "tf32": 3e11, "fp32": 5e10}
MOST_STENCIL, MOST_GROUPED = 4e10, 1.5e11
"""Most FLOPs of a call, of one without matrix units, and of one in groups."""


def formats(rng: np.random.Generator, word: str) -> str:
    """A number format; `word` is that of four bytes."""
    return str(rng.choice(["bf16", "fp16", word], p=[0.45, 0.4, 0.15]))


def images(rng: np.random.Generator, most: int = 256) -> int:
    """How many images; half of them powers of two."""
    drawn = log_uniform(rng, 1, most)
    return 1 << round(float(np.log2(drawn))) if rng.random() < 0.5 else max(1, round(drawn))


def kind(rng: np.random.Generator, dims: int, op: str = "forward") -> dict[str, Any]:
    """What is not a size."""
    return {"op": op, "layout": "last" if rng.random() < 0.55 else "first", "dims": dims}


def sided(sides: tuple[int, ...], taps: tuple[int, ...]) -> dict[str, int]:
    """Sides and taps of every direction, innermost last."""
    still = len(DIRECTIONS) - len(sides)
    whole = zip(DIRECTIONS, (1,) * still + sides, (1,) * still + taps, strict=True)
    found: dict[str, int] = {}
    for name, side, count in whole:
        found |= {name: side, f"taps_{name[0]}": count}
    return found


def convolution(dtype: str, shape: dict[str, Any]) -> Case:
    """A case of torch's `conv1d` to `conv3d`."""
    return Case("convolution", "torch", dtype, {"groups": 1} | shape)


def joined(numbers: tuple[Any, ...]) -> Any:
    """One number where all are alike, or all of them."""
    return numbers[0] if len(set(numbers)) == 1 else "x".join(map(str, numbers))


def channel_count(rng: np.random.Generator, low: int, high: int) -> int:
    """A multiple of 16, of 8, or in a tenth of the draws of nothing."""
    return size(rng, low, high, int(rng.choice([16, 8, 1], p=[0.55, 0.35, 0.1])))


def draw_layer(rng: np.random.Generator) -> Case:
    """A layer of a network."""
    channels, filters, side, taps, stride = LAYERS[rng.integers(len(LAYERS))]
    dilation = int(rng.choice([2, 4, 12])) if taps == 3 and rng.random() < 0.08 else 1
    shape = {"batch": images(rng), "channels": channels, "filters": filters, "stride": stride}
    pad = 0 if taps in (2, 4, 14, 16) else dilation * (taps // 2)
    shape |= {"dilation": dilation, "pad": pad}
    return convolution(
        formats(rng, "tf32"), kind(rng, 2) | shape | sided((side, side), (taps, taps))
    )


def draw_dense(rng: np.random.Generator) -> Case:
    """Any sizes in two directions."""
    taps = int(rng.choice([1, 2, 3, 5, 7], p=[0.28, 0.04, 0.44, 0.13, 0.11]))
    window = (taps, taps)
    if taps > 2 and rng.random() < 0.15:
        window = (1, taps) if rng.random() < 0.5 else (taps, 1)
    stride = int(rng.choice([1, 2, 3, 4], p=[0.7, 0.24, 0.03, 0.03]))
    dilation = int(rng.choice([2, 3])) if taps > 1 and rng.random() < 0.12 else 1
    side = size(rng, 8, 320)
    sides = (side, side) if rng.random() < 0.65 else (side, size(rng, 8, 320))
    kept = tuple(dilation * (count // 2) for count in window)
    odds = rng.random()
    pad = joined(kept) if odds < 0.7 else 0 if odds < 0.95 else "0:1"
    shape = {
        "batch": images(rng),
        "channels": channel_count(rng, 16, 2048),
        "filters": channel_count(rng, 32, 2048),
        "stride": joined((stride, 1)) if stride == 2 and rng.random() < 0.1 else stride,
        "dilation": dilation,
        "pad": pad,
    }
    return convolution(formats(rng, "tf32"), kind(rng, 2) | shape | sided(sides, window))


def draw_line(rng: np.random.Generator) -> Case:
    """Along one direction: audio and time series."""
    taps = int(rng.choice([1, 3, 5, 7, 10, 15]))
    stride = int(rng.choice([1, 2, 5], p=[0.65, 0.25, 0.1])) if taps > 1 else 1
    dilation = int(rng.choice([1, 3, 9], p=[0.75, 0.15, 0.1])) if stride == 1 else 1
    shape = {
        "batch": images(rng, 64),
        "channels": channel_count(rng, 32, 1536),
        "filters": channel_count(rng, 64, 1536),
        "stride": stride,
        "dilation": dilation,
        "pad": dilation * (taps // 2),
    }
    case = kind(rng, 1) | shape | sided((size(rng, 200, 40_000),), (taps,))
    return convolution(formats(rng, "tf32"), case)


def draw_volume(rng: np.random.Generator) -> Case:
    """In three directions: video and scans."""
    window = ((3, 3, 3), (1, 3, 3), (3, 1, 1), (1, 1, 1), (2, 4, 4))[rng.integers(5)]
    stride: Any = 2 if window == (3, 3, 3) and rng.random() < 0.3 else 1
    pad = joined(tuple(count // 2 for count in window))
    if window == (2, 4, 4):
        stride, pad = "2x4x4", 0
    side = size(rng, 8, 112)
    shape = {
        "batch": images(rng, 8),
        "channels": channel_count(rng, 16, 512),
        "filters": channel_count(rng, 32, 512),
        "stride": stride,
        "dilation": 1,
        "pad": pad,
    }
    case = kind(rng, 3) | shape | sided((size(rng, 4, 64), side, side), window)
    return convolution(formats(rng, "tf32"), case)


def draw_transposed(rng: np.random.Generator) -> Case:
    """Transposed, in two directions, or along one in a third."""
    dims = 1 if rng.random() < 1 / 3 else 2
    menu = UPSAMPLES if dims == 1 else SPREADS
    taps, stride, pad = menu[rng.integers(len(menu))]
    side = size(rng, 100, 8000) if dims == 1 else size(rng, 4, 128)
    shape = {
        "batch": images(rng, 64),
        "channels": channel_count(rng, 32, 1024),
        "filters": channel_count(rng, 32, 1024),
        "stride": stride,
        "dilation": 1,
        "pad": pad,
    }
    case = kind(rng, dims, "transposed") | shape | sided((side,) * dims, (taps,) * dims)
    return convolution(formats(rng, "tf32"), case)


def draw_depthwise(rng: np.random.Generator) -> Case:
    """A filter a channel: layers of networks, drawn ones, and along one direction."""
    odds = rng.random()
    dims = 2
    if odds < 0.4:
        channels, side, taps, stride = DEPTHWISE[rng.integers(len(DEPTHWISE))]
    elif odds < 0.85:
        channels, side = size(rng, 16, 2048, 8), size(rng, 7, 160)
        taps, stride = int(rng.choice([3, 5, 7, 9])), int(rng.choice([1, 2], p=[0.75, 0.25]))
    else:
        dims, channels, side = 1, size(rng, 64, 4096, 64), size(rng, 100, 16_000)
        taps, stride = int(rng.choice([3, 4, 15, 31])), 1
    shape = {
        "batch": images(rng, 64 if dims == 1 else 256),
        "groups": channels,
        "channels": channels,
        "filters": channels,
        "stride": stride,
        "dilation": 1,
        "pad": taps // 2,
    }
    case = kind(rng, dims) | shape | sided((side,) * dims, (taps,) * dims)
    return convolution(formats(rng, "fp32"), case)


def draw_grouped(rng: np.random.Generator) -> Case:
    """Groups of a few channels each, as in ResNeXt and RegNet."""
    width = int(rng.choice(WIDTHS))
    groups = size(rng, 2, 64)
    taps = int(rng.choice([1, 3, 5], p=[0.15, 0.75, 0.1]))
    side = size(rng, 7, 112)
    shape = {
        "batch": images(rng),
        "groups": groups,
        "channels": groups * width,
        "filters": groups * width,
        "stride": int(rng.choice([1, 2], p=[0.75, 0.25])),
        "dilation": 1,
        "pad": taps // 2,
    }
    case = kind(rng, 2) | shape | sided((side, side), (taps, taps))
    return convolution(formats(rng, "tf32"), case)


def draw_pool(rng: np.random.Generator) -> Case:
    """Maximum or average over a window in two directions."""
    taps, stride, pad = ((2, 2, 0), (3, 2, 1), (3, 1, 1), (3, 2, 0), (5, 1, 2))[rng.integers(5)]
    side = size(rng, 7, 224)
    shape = {
        "batch": images(rng),
        "channels": channel_count(rng, 16, 2048),
        "stride": stride,
        "pad": pad,
    }
    case = kind(rng, 2, str(rng.choice(["max", "average"]))) | shape
    return Case("pool", "torch", formats(rng, "fp32"), case | sided((side, side), (taps, taps)))


def affordable(case: Case) -> bool:
    """Whether the window fits, the call takes little memory and time, and a product has work."""
    flop, _, once = work(case)
    if case.family == "convolution" and case.shape["groups"] == 1 and flop < LEAST_MULTIPLIED:
        return False
    if any(axis.padded < axis.reach for axis in axes(case.shape)) or once > MOST_BYTES:
        return False
    groups = int(case.shape.get("groups", 1))
    most = MOST_MULTIPLIED[case.dtype] if groups == 1 else MOST_GROUPED
    return flop <= (MOST_STENCIL if groups == case.shape["channels"] else most)


DRAWN: tuple[Callable[[np.random.Generator], Case], ...] = (
    *(draw_layer, draw_dense, draw_depthwise, draw_dense, draw_line, draw_layer, draw_grouped),
    *(draw_dense, draw_transposed, draw_depthwise, draw_dense, draw_volume, draw_layer, draw_pool),
    *(draw_dense, draw_dense),
)
"""In the order in which they take turns."""
RARER: tuple[Callable[[np.random.Generator], Case], ...] = (
    *(draw_grouped, draw_transposed, draw_dense, draw_depthwise, draw_layer, draw_volume),
    *(draw_grouped, draw_line, draw_dense, draw_transposed),
)
"""The same where kinds that networks seldom have are to be learnt."""


def window_cases(seed: int, turns: Sequence[Callable[..., Case]] = DRAWN) -> Iterator[Case]:
    """All kinds in turn, endlessly."""
    sources = {
        draw: filter(affordable, draws(seed, "window-" + draw.__name__, draw)) for draw in turns
    }
    for draw in cycle(turns):
        yield next(sources[draw])


def rarer_windows(seed: int) -> Iterator[Case]:
    """Mostly kinds that networks seldom have."""
    return window_cases(seed, RARER)
