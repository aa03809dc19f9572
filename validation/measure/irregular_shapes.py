"""Which scatters, gathers, scans, sorts and losses are measured, beside reductions and long rows.

Scatters add `sources` rows of `cols` numbers into `targets` rows; a share `hot` of the sources goes
to one of them, the rest anywhere. Gathers take `sources` rows from a table of `targets`; those of
an embedding bag add up every `bag` of them. Scans are cumulative sums along the last or the first
axis. Sorts order each row, or take its `k` largest. Losses are cross-entropies of `rows` tokens
over `cols` words. Reductions, and norms of few long rows, are drawn as in `edges.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

import numpy as np

from hwmodel.validation.measure.edges import draw_long, draw_reduce
from hwmodel.validation.measure.shapes import Case, draws, log_uniform, size, tokens, work

MOST_BYTES, MOST_SORTED, MOST_HOT = 1e9, 1 << 25, 1 << 21
"""Most bytes of a call, most numbers that one sorts, most sources that go to one target."""
VOCABULARIES = (1000, 8192, 10000, 32000, 32768, 50257, 65024, 102400, 128256, 151936, 256000)


def dtype_of(rng: np.random.Generator, floats: float = 0.5) -> str:
    """A number format, fp32 in a share `floats` of the draws."""
    halves = (1 - floats) / 2
    return str(rng.choice(["fp32", "bf16", "fp16"], p=[floats, halves, halves]))


def uneven(rng: np.random.Generator) -> bool:
    """A third."""
    return bool(rng.random() < 1 / 3)


def hot_share(rng: np.random.Generator) -> float:
    """None in half of the draws; otherwise a hundredth, a tenth, half or all."""
    return float(rng.choice([0.0, 0.01, 0.1, 0.5, 1.0], p=[0.5, 0.15, 0.15, 0.12, 0.08]))


def draw_scatter(rng: np.random.Generator) -> Case:
    """Rows, or single numbers (`scatter_add`), added to fewer or more."""
    op = str(rng.choice(["index_add", "scatter_add"], p=[0.6, 0.4]))
    sources = tokens(rng, 256, 4_000_000 if op == "scatter_add" else 200_000, uneven(rng))
    shape = {
        "op": op,
        "sources": sources,
        "cols": 1 if op == "scatter_add" else size(rng, 8, 4096, 8),
        "targets": size(rng, 1, 2 * sources),
        "hot": hot_share(rng),
    }
    return Case("scatter", "torch", dtype_of(rng, 0.6), shape)


def draw_gather(rng: np.random.Generator) -> Case:
    """Rows of a table, or sums of them."""
    op = str(rng.choice(["index_select", "embedding", "embedding_bag"], p=[0.3, 0.25, 0.45]))
    bag = int(rng.choice([1, 4, 16, 32, 64, 100])) if op == "embedding_bag" else 1
    shape = {
        "op": op,
        "sources": bag * tokens(rng, 64, max(65, 1_000_000 // bag), uneven(rng)),
        "cols": size(rng, 16, 4096, 8),
        "targets": size(rng, 16, 2_000_000),
        "bag": bag,
        "hot": float(rng.choice([0.0, 0.5], p=[0.8, 0.2])),
    }
    return Case("gather", "torch", dtype_of(rng), shape)


def draw_cumsum(rng: np.random.Generator) -> Case:
    """Along the last axis of one row or many, or down the first."""
    odd = uneven(rng)
    axis = str(rng.choice(["last", "first"], p=[0.7, 0.3]))
    rows = 1 if axis == "last" and rng.random() < 0.35 else tokens(rng, 1, 16_384, odd)
    most = max(65, int(log_uniform(rng, 1 << 14, 1 << 28) / rows))
    shape = {"op": "cumsum", "axis": axis, "rows": rows, "cols": tokens(rng, 64, most, odd)}
    return Case("cumsum", "torch", dtype_of(rng), shape)


def draw_sort(rng: np.random.Generator) -> Case:
    """Rows in order, or their largest."""
    odd = uneven(rng)
    op = str(rng.choice(["sort", "topk"], p=[0.45, 0.55]))
    cols = tokens(rng, 64, 1 << 20, odd)
    shape = {
        "op": op,
        "rows": tokens(rng, 1, max(2, MOST_SORTED // cols), odd),
        "cols": cols,
        "k": min(int(rng.choice([1, 2, 8, 50, 256, 1024])), cols) if op == "topk" else cols,
    }
    return Case("sort", "torch", dtype_of(rng), shape)


def draw_loss(rng: np.random.Generator) -> Case:
    """Cross-entropy over a vocabulary."""
    odd = uneven(rng)
    cols = size(rng, 128, 262_144) if odd else VOCABULARIES[rng.integers(len(VOCABULARIES))]
    rows = tokens(rng, 1, 16_384, odd)
    return Case("cross_entropy", "torch", dtype_of(rng), {"rows": rows, "cols": cols})


def draw_norm(rng: np.random.Generator) -> Case:
    """A norm or softmax of few long rows."""
    return draw_long(rng, str(rng.choice(["layernorm", "layernorm", "softmax", "rmsnorm"])))


def affordable(case: Case) -> bool:
    """Whether the call takes little memory and time."""
    if work(case)[2] > MOST_BYTES:
        return False
    shape = case.shape
    if case.family == "scatter":
        each = max(float(shape["hot"]), 1 / shape["targets"])
        return each * shape["sources"] <= MOST_HOT
    return True


DRAWN: tuple[Callable[[np.random.Generator], Case], ...] = (
    *(draw_scatter, draw_cumsum, draw_gather, draw_sort, draw_reduce, draw_loss),
    *(draw_scatter, draw_cumsum, draw_norm, draw_sort, draw_reduce),
)
"""In the order in which they take turns."""
RARER = (draw_loss, draw_sort, draw_gather)
"""Those of which `DRAWN` has few."""


def irregular_cases(seed: int, turns: Sequence[Callable[..., Case]] = DRAWN) -> Iterator[Case]:
    """All kinds in turn, endlessly."""
    sources = {
        draw: filter(affordable, draws(seed, "irregular-" + draw.__name__, draw)) for draw in turns
    }
    for draw in cycle(turns):
        yield next(sources[draw])


def rarer_cases(seed: int) -> Iterator[Case]:
    """Losses, sorts and gathers."""
    return irregular_cases(seed, RARER)
