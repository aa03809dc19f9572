"""Which kernel cuBLAS takes where threads copy on a Hopper GPU, and how it splits K.

For 16-bit products off 16 bytes and fp32. The library's heuristic
(`cublasLtMatmulAlgoGetHeuristic`) is a function of sizes. It was asked for 730,000 such products
(13.1, an H200; 32 MiB of workspace; a quarter of them of fewer than 128 rows or columns) and names
the kernels and parts of nearly all of 2,880 traced ones of a fresh seed. A decision tree for each
format and width of copies (of entropy) over sizes, and waves of eight tiles, says which kernel it
is: of those traced it names the library's in 90 to 94 of 100 in bf16, 87 in fp16 and 92 in fp32,
with the number of parts in 86, 81 and 88 (50 and 22, when the fastest by counts was taken).
cuBLAS's own rule is not published; this is data of one version.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.decision_tree import LEAF, Nodes
from hwmodel.machines.gpu.schedules.gemm import GemmProblem

Array = NDArray[Any]

FILE = Path(__file__).with_suffix(".csv")
"""Nodes in order: format, bytes of a copy, what is seen (place in `seen`), its limit, the node of
what lies above; of a leaf kernel and parts of K: a number, t for parts added in turn, or less than
0 for as many as give each processor so many blocks."""

SIDES = (
    *((256, 128), (128, 256), (128, 128), (64, 64)),
    *((32, 32), (16, 16), (256, 64), (128, 64)),
)
"""Tiles whose waves are seen: columns, rows."""

NARROW = "narrow"


@dataclass(frozen=True, eq=False)
class Choice:
    """What is chosen of each point: a kernel of `names`, parts of K as in the file, how added."""

    names: tuple[str, ...]
    kernel: NDArray[np.int64]
    parts: NDArray[np.float64]
    in_turn: NDArray[np.bool_]

    @property
    def narrow(self) -> NDArray[np.bool_]:
        """Where rows pass the vector units."""
        return np.array([name == NARROW for name in self.names])[self.kernel]


@cache
def tree(dtype: str, width: int) -> tuple[Nodes, Choice]:
    """Nodes for a format and width of copies, and what each of them chooses where it is a leaf."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["dtype"] == dtype and int(row["width"]) == width
        ]
    seen_, above = (np.array([int(r[name] or LEAF) for r in rows]) for name in ("seen", "above"))
    nodes = Nodes(seen_, np.array([float(r["limit"] or 0) for r in rows]), above)
    told = [(row["kernel"] or f"{NARROW}|0").split("|") for row in rows]
    names = tuple(dict.fromkeys(kernel for kernel, _ in told))
    kernel = np.array([names.index(name) for name, _ in told])
    parts = np.array([float(parts.lstrip("t")) for _, parts in told])
    return nodes, Choice(names, kernel, parts, np.array([p.startswith("t") for _, p in told]))


def seen(problem: GemmProblem, limits: Limits) -> NDArray[np.float64]:
    """What a tree asks of a product, the last axis one number each.

    Its sizes, their products and ratios, what divides them, waves of tiles and their last ones.
    """
    asked = (problem.M, problem.N, problem.K, problem.batch, limits.processors)
    m, n, k, batch, processors = (np.array(size, np.float64, ndmin=1) for size in asked)
    whole = [np.where(size % by == 0, 1.0, 0.0) for size in (k, n) for by in (4, 8)]
    unlike = [np.where((k % by != 0) | (n % by != 0), 1.0, 0.0) for by in (2, 4)]
    found = [m, n, k, m * n, n * k, m * k, m * n * k, n / m, k / n, k / m, *whole, *unlike]
    for columns, rows in SIDES:
        waves = batch * np.ceil(m / rows) * np.ceil(n / columns) / processors
        found += [waves, np.ceil(waves) / waves]
    return np.stack(np.broadcast_arrays(*found), -1)


def chosen(problem: GemmProblem, dtype: str, width: int, limits: Limits) -> Choice:
    """The kernels for operands of a format whose copies are so wide."""
    nodes, every = tree(dtype, width)
    at = nodes.leaf(seen(problem, limits))
    return Choice(every.names, every.kernel[at], every.parts[at], every.in_turn[at])
