"""A kernel library from this one file: elementwise kernels by stretches, as users write theirs."""

from dataclasses import dataclass
from typing import Any

import hwmodel as hw
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.libraries.library import (
    Columns,
    Kernel,
    Launch,
    Library,
    Measured,
    Reported,
    priors,
)
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.spine.activity import Activity, Serial, Waves, Work
from hwmodel.spine.estimate import Estimate

NAME = "tests.toy_library:TOY"


@dataclass(frozen=True)
class Stretch:
    """Launch record: elements of a block, and blocks that a processor holds."""

    elements: float
    resident: float = 8


def activity(problem: Any, tile: Stretch, limits: Limits) -> Activity:
    """A launch, then blocks in waves; each moves its stretch once."""
    blocks = ceil_div(problem.rows * problem.cols, tile.elements)
    read, written = problem.read_bytes / blocks, problem.written_bytes / blocks
    block = Work(read={"dram": read, "l2": read}, written={"dram": written, "l2": written})
    waves = Waves(blocks, limits.processors * tile.resident, block)
    return Serial((Work(slots={"launch": 1}), waves))


def is_large(columns: Columns) -> bool:
    """The line of the report holds a million elements and more."""
    return float(columns["rows"]) * float(columns["cols"]) >= 1e6


ROWS = priors(
    """
    launch = 1 in 0.2 .. 5: kernel to kernel in a graph, in graph launches of the device
    dram = 0.9 in 0.4 .. 1: share of the
        datasheet's DRAM bandwidth
    """,
    interval=(0.5, 2.5),
)

TOY = Library(
    name="toy",
    title="toy kernels",
    launches={"rows": Launch(activity, tuple(Stretch(n) for n in (1024, 4096, 16384)))},
    priors={"rows": ROWS},
    measured=Measured("tests.toy_library:build"),
    reported=(Reported("large toys", is_large),),
)

PRODUCTS = Library(
    name="toy-products",
    title="a stack of cuBLAS and the toy",
    calls={"gemm": "cublas", "rows": TOY},
)


def build(case: Any) -> Any:
    """What a sitting would make of a case: here, the case itself."""

    def inputs(carver: Any) -> Any:
        return case

    return inputs


@dataclass(frozen=True)
class Ask:
    """A prediction by the toy, to be swept over columns here or in worker processes."""

    kernel: Kernel

    def __call__(self, cols: Any) -> Estimate:
        """An addition of 4,096 rows."""
        return hw.predict(hw.workloads.add(rows=4096, cols=cols), "h200", kernel=self.kernel)
