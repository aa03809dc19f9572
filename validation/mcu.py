"""Fit of a microcontroller's libraries: one number each, judged on networks that were left out.

A library's number is the share of the SIMD unit's peak that it reaches over a whole network,

    share = MACs / (time * clock * 2)

as the geometric mean over networks. Leave-one-out: each network is predicted from the mean of the
others. Rows are published latencies on an STM32H743 (TinyEngine's README), as CSV with the columns
`net, macs_m` and `<library>_ms`; an empty cell is a network that did not fit.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwmodel.quantity.errors import InputError

COLUMNS = {
    **{"tinyengine": "tinyengine_ms", "x-cube-ai": "xcubeai_ms"},
    **{"cmsis-nn": "cmsisnn_ms", "tflm": "tflm_ms"},
}
PEAK_MACS_PER_CYCLE = 2
"""Of a Cortex-M7: SMLAD."""


@dataclass(frozen=True)
class Row:
    """One network on one library: multiply-accumulates and measured seconds."""

    network: str
    macs: float
    time_s: float

    def share(self, clock_hz: float) -> float:
        """Share of the peak that was reached."""
        return self.macs / (self.time_s * clock_hz * PEAK_MACS_PER_CYCLE)


@dataclass(frozen=True)
class LeftOut:
    """A network's error, predicted from all others: predicted / measured - 1."""

    network: str
    error: float


def read(path: Path, library: str) -> tuple[Row, ...]:
    """The rows of one library; raises `InputError` naming the line."""
    rows: list[Row] = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, line in enumerate(csv.DictReader(file), 2):
            try:
                if line[COLUMNS[library]]:
                    time_s = float(line[COLUMNS[library]]) * 1e-3
                    rows.append(Row(line["net"], float(line["macs_m"]) * 1e6, time_s))
            except (KeyError, ValueError) as error:
                raise InputError(f"{path}, line {number}: expected numbers: {error}") from None
    return tuple(rows)


def fit(rows: Sequence[Row], clock_hz: float) -> float:
    """Geometric mean of the shares."""
    return math.exp(sum(math.log(row.share(clock_hz)) for row in rows) / len(rows))


def leave_one_out(rows: Sequence[Row], clock_hz: float) -> tuple[LeftOut, ...]:
    """Each network's error under the fit to the others."""
    return tuple(
        LeftOut(row.network, row.share(clock_hz) / fit([o for o in rows if o != row], clock_hz) - 1)
        for row in rows
    )
