"""Shapes of fused kernels that the literature asks for: those of their figures, then drawn ones.

Each of our kernels is measured with several tiles, in columns `tile_...`, beside what it replaces
in torch. The families and their columns:

- power_attention: `batch`, `heads`, `tokens`, `features` of q and k, `values`; beside causal
  attention of the same heads and values by FlashAttention-2 (BASED).
- chunk_scan, delta_rule: the same with `state` rows (Mamba-2; gated delta networks).
- kmeans_assignment, kmeans_update: `points`, `clusters`, `dimensions`; in torch the first as
  `form` "cdist" (fp32 distances) or "product" (in the points' format). Labels of the second are
  uniform, or with `skewed` the fourth power of uniform numbers (Flash-KMeans).
- fft_convolution: `batch`, `channels`, `length` of a circular convolution, `gated` on both sides;
  in torch by fp32 transforms (FlashFFTConv).
- rational_backward: `rows`, `cols`, `groups`; in torch by autograd (FlashKAT).
- depthwise: `batch`, `height`, `width`, `channels`, `tall`, `wide`, `stride`, padding on four
  sides; channels last.
- norm_quantise: `rows`, `cols`: residual, RMS norm, e4m3 with a scale for each row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from hwmodel.machines.gpu.schedules.cluster_sums import ADDED, SORTED
from hwmodel.machines.gpu.schedules.grouped_gradients import EACH
from hwmodel.machines.gpu.schedules.grouped_gradients import MENU as GRADIENTS
from hwmodel.machines.gpu.schedules.monarch import monarch_tiles
from hwmodel.machines.gpu.schedules.nearest import MENU as NEAREST
from hwmodel.machines.gpu.schedules.triton_scan import DELTAS, POWERS, SCANNED
from hwmodel.machines.gpu.schedules.triton_tiles import row_tile
from hwmodel.machines.gpu.schedules.windows import MENU as WINDOWS
from hwmodel.validation.measure.shapes import Case, feasible, size, tokens
from hwmodel.validation.measure.tiles import with_tile

OURS, TORCH, FLASH = "triton", "torch", "flash-attention-2"
MOST_EACH_ROWS = 64 * 197
"""Rows up to which every element's own atomics are timed: 65 ms a call."""
Draw = Callable[[np.random.Generator], Case]
Tiles = Callable[[Case], Sequence[Any]]


def shape(names: str, *values: Any) -> dict[str, Any]:
    """Columns by name."""
    return dict(zip(names.split(), values, strict=True))


POWER = "batch heads tokens features values"
POWER_FIGURES = tuple(
    Case("power_attention", OURS, "bf16", shape(POWER, b, 16, n, 16, 112))
    for b, n in ((1, 1024), (8, 1024), (64, 1024), (128, 1024), (16, 2048), (8, 4096), (4, 8192),
                 (2, 16384), (1, 32768), (1, 65536))
)  # fmt: skip
"""Heads of BASED-1.3B (width 1792), and prompts of 1 Ki tokens and more."""


def draw_power(rng: np.random.Generator) -> Case:
    """Other heads and widths."""
    n = tokens(rng, 64, 16384, bool(rng.random() < 0.3))
    heads, values = int(rng.choice([8, 16, 32])), int(rng.choice([64, 80, 112, 128]))
    sizes = shape(POWER, size(rng, 1, max(2, 65536 // n)), heads, n, 16, values)
    return Case("power_attention", OURS, "bf16", sizes)


def attention_of(case: Case) -> list[Case]:
    """Causal attention of the same heads and values."""
    s = case.shape
    names = "batch heads kv_heads queries keys head_dim causal"
    heads, n = s["heads"], s["tokens"]
    sizes = shape(names, s["batch"], heads, heads, n, n, s["values"], True)
    return [Case("attention", FLASH, case.dtype, sizes)]


SCAN = "batch heads tokens state values"
SCAN_FIGURES = tuple(
    Case("chunk_scan", OURS, "bf16", shape(SCAN, b, h, n, state, 64))
    for b, h, n, state in ((1, 80, 2048, 128), (8, 80, 2048, 128), (1, 80, 8192, 128),
                           (4, 80, 8192, 128), (8, 24, 4096, 128), (1, 128, 16384, 64),
                           (8, 32, 2048, 64), (2, 32, 16384, 64))
)  # fmt: skip


def draw_scan(rng: np.random.Generator) -> Case:
    """Heads of 64 values, states of 64 and 128 rows."""
    n = tokens(rng, 128, 16384, bool(rng.random() < 0.3))
    sizes = (size(rng, 1, max(2, 65536 // n)), int(rng.choice([16, 24, 32, 64, 80])), n)
    case = shape(SCAN, *sizes, int(rng.choice([64, 128])), int(rng.choice([64, 128])))
    return Case("chunk_scan", OURS, "bf16", case)


DELTA_FIGURES = tuple(
    Case("delta_rule", OURS, "bf16", shape(SCAN, b, h, n, 128, 128))
    for b, h, n in ((1, 32, 4096), (4, 32, 4096), (1, 32, 16384), (8, 16, 2048), (1, 64, 8192),
                    (16, 32, 1024), (1, 16, 512))
)  # fmt: skip
"""Heads of 128, as in Qwen3-Next (32 of values)."""


def draw_delta(rng: np.random.Generator) -> Case:
    """Heads of 64 and 128."""
    case = draw_scan(rng)
    return replace(case, family="delta_rule")


MEANS = "points clusters dimensions"
ASSIGNED_FIGURES = tuple(
    Case("kmeans_assignment", OURS, "fp16", shape(MEANS, *sizes))
    for sizes in ((1 << 20, 8192, 128), (1 << 17, 1024, 128), (1 << 20, 1024, 128),
                  (1 << 23, 1024, 128), (1 << 16, 8192, 128), (1 << 18, 8192, 128),
                  (1 << 20, 65536, 128), (1 << 14, 1000, 128), (1 << 17, 100, 128),
                  (1 << 20, 4096, 64), (1 << 18, 4096, 256), (1 << 22, 4096, 128))
)  # fmt: skip


def draw_assignment(rng: np.random.Generator) -> Case:
    """Any number of points and centroids."""
    sizes = (size(rng, 1 << 12, 1 << 21), size(rng, 64, 16384), int(rng.choice([64, 128])))
    return Case("kmeans_assignment", OURS, "fp16", shape(MEANS, *sizes))


def assignment_baselines(case: Case) -> list[Case]:
    """With all distances in memory, where they fit into 40 GB."""
    s = case.shape
    if 4.0 * s["points"] * s["clusters"] > 4e10:
        return []
    forms = ("product", "cdist")
    return [replace(case, kernel=TORCH, shape={**s, "form": form}) for form in forms]


SUMS = "points clusters dimensions skewed"
SUMMED_FIGURES = tuple(
    Case("kmeans_update", OURS, "bf16", shape(SUMS, *sizes))
    for sizes in ((1 << 24, 4096, 128, 0), (1 << 24, 4096, 128, 1), (1 << 20, 8192, 128, 0),
                  (1 << 20, 8192, 128, 1), (1 << 20, 1024, 128, 0), (1 << 20, 1024, 128, 1),
                  (1 << 22, 64, 128, 0), (1 << 18, 4096, 64, 0), (1 << 20, 65536, 128, 0),
                  (1 << 17, 1000, 128, 0))
)  # fmt: skip


def draw_sums(rng: np.random.Generator) -> Case:
    """Any number of points and clusters."""
    sizes = (size(rng, 1 << 14, 1 << 22), size(rng, 16, 32768), int(rng.choice([64, 128])))
    skewed = int(rng.random() < 0.4)
    return Case("kmeans_update", OURS, "bf16", shape(SUMS, *sizes, skewed))


LONG = "batch channels length gated"
LONG_FIGURES = tuple(
    Case("fft_convolution", OURS, "fp16", shape(LONG, *sizes, 1))
    for sizes in ((64, 768, 256), (64, 768, 1024), (64, 768, 4096), (64, 768, 8192),
                  (64, 768, 16384), (32, 768, 32768), (2, 256, 1 << 20), (2, 128, 1 << 21))
)  # fmt: skip
"""Gated, 64 sequences of 768 channels, as far as they fit."""


def draw_long(rng: np.random.Generator) -> Case:
    """Powers of two; a third plain."""
    length = 1 << int(rng.integers(8, 16))
    batch = 2 * size(rng, 1, 32)
    channels = size(rng, 64, max(65, min(4096, (1 << 29) // (length * batch))))
    gated = int(rng.random() < 2 / 3)
    return Case("fft_convolution", OURS, "fp16", shape(LONG, batch, channels, length, gated))


RATIO = "rows cols groups"
RATIO_FIGURES = tuple(
    Case("rational_backward", OURS, "fp32", shape(RATIO, b * 197, cols, 8))
    for b, cols in ((1024, 768), (64, 768), (256, 768), (64, 3072), (256, 384), (1024, 192),
                    (8, 768), (128, 1536))
)  # fmt: skip
"""Images of 197 tokens; widths of ViT-T, -S and -B and of their hidden layers."""


def draw_ratio(rng: np.random.Generator) -> Case:
    """Other heights and widths."""
    rows, cols = size(rng, 1000, 200_000), 8 * size(rng, 16, 384)
    return Case("rational_backward", OURS, "fp32", shape(RATIO, rows, cols, 8))


def ratio_tiles(case: Case) -> Sequence[Any]:
    """Blocks of rows; for few rows every element alone as well."""
    small = case.shape["rows"] * case.shape["cols"] <= MOST_EACH_ROWS * 768
    return (*GRADIENTS, EACH) if small else GRADIENTS


SPOTS = "batch height width channels tall wide stride above below left right"


def window_of(b: int, side: int, channels: int, taps: int, stride: int) -> Case:
    """A square image under a centred window, at fp16."""
    pad = taps // 2
    case = shape(SPOTS, b, side, side, channels, taps, taps, stride, pad, pad, pad, pad)
    return Case("depthwise", OURS, "fp16", case)


def causal_of(b: int, n: int, channels: int, taps: int) -> Case:
    """A short causal convolution over tokens, at fp16."""
    case = shape(SPOTS, b, 1, n, channels, 1, taps, 1, 0, 0, taps - 1, 0)
    return Case("depthwise", OURS, "fp16", case)


SPOT_FIGURES = (
    causal_of(16, 1024, 768, 5), causal_of(16, 8192, 8192, 5), causal_of(8, 2048, 5120, 4),
    window_of(64, 56, 96, 7, 1), window_of(64, 28, 192, 7, 1), window_of(64, 14, 384, 7, 1),
    window_of(64, 112, 32, 3, 1), window_of(64, 112, 96, 3, 2), window_of(128, 14, 480, 5, 1),
    window_of(256, 28, 144, 3, 1), window_of(256, 7, 1152, 3, 1),
)  # fmt: skip
"""Short convolutions of FlashFFTConv and Mamba-2; windows of ConvNeXt, MobileNet, EfficientNet."""


def draw_spots(rng: np.random.Generator) -> Case:
    """Windows of three to seven taps and causal ones."""
    if rng.random() < 0.4:
        channels, taps = size(rng, 256, 8192, 8), int(rng.integers(3, 6))
        return causal_of(size(rng, 1, 16), size(rng, 128, 8192), channels, taps)
    taps, stride = int(rng.choice([3, 5, 7])), int(rng.choice([1, 2]))
    return window_of(size(rng, 1, 256), size(rng, 7, 112), size(rng, 16, 1024, 8), taps, stride)


NORMED_FIGURES = tuple(
    Case("norm_quantise", OURS, "bf16", shape("rows cols", *sizes))
    for sizes in ((64, 4096), (1024, 4096), (4096, 4096), (32768, 8192), (16384, 5120),
                  (8192, 2048), (512, 16384), (65536, 1024))
)  # fmt: skip


def draw_normed(rng: np.random.Generator) -> Case:
    """Any matrix."""
    sizes = (tokens(rng, 16, 65536, bool(rng.random() < 0.3)), size(rng, 256, 16384, 16))
    return Case("norm_quantise", OURS, "bf16", shape("rows cols", *sizes))


def in_torch(case: Case) -> list[Case]:
    """The same by torch."""
    return [replace(case, kernel=TORCH)]


def none(case: Case) -> list[Case]:
    """Nothing in torch does it."""
    return []


def cases(
    figures: Sequence[Case],
    draw: Draw,
    tiles: Tiles,
    beside: Callable[[Case], list[Case]],
    rng: np.random.Generator,
) -> Iterator[Case]:
    """The figures' shapes with every tile and what is beside them, then drawn ones, endlessly."""

    def drawn() -> Iterator[Case]:
        while True:
            case = draw(rng)
            if feasible(case):
                yield case

    for case in chain(figures, drawn()):
        yield from (with_tile(case, tile) for tile in tiles(case))
        yield from beside(case)


STREAMS: dict[str, tuple[Sequence[Case], Draw, Tiles, Callable[[Case], list[Case]]]] = {
    "power-attention": (POWER_FIGURES, draw_power, lambda _: POWERS, attention_of),
    "chunk-scan": (SCAN_FIGURES, draw_scan, lambda _: SCANNED, none),
    "delta-rule": (DELTA_FIGURES, draw_delta, lambda _: DELTAS, none),
    "kmeans": (ASSIGNED_FIGURES, draw_assignment, lambda _: NEAREST, assignment_baselines),
    "kmeans-update": (SUMMED_FIGURES, draw_sums, lambda _: (*SORTED, *ADDED), in_torch),
    "fft-convolution": (LONG_FIGURES, draw_long, lambda c: monarch_tiles(c.shape["length"]),
                        in_torch),
    "rational-backward": (RATIO_FIGURES, draw_ratio, ratio_tiles, in_torch),
    "depthwise": (SPOT_FIGURES, draw_spots, lambda _: WINDOWS, in_torch),
    "norm-quantise": (NORMED_FIGURES, draw_normed,
                      lambda c: (row_tile(c.shape["cols"]),), in_torch),
}  # fmt: skip


def fused_streams(seed: int) -> dict[str, Iterator[Case]]:
    """Endless streams by the names of the stages of a sitting."""
    return {
        stage: cases(*parts, np.random.default_rng([seed, *stage.encode()]))
        for stage, parts in STREAMS.items()
    }
