"""Measured collectives as samples for the fit, and what the model says of them.

Rows stand in `validation/data/<device>-x<ranks>/<sitting>/collective.csv`, measured by
`measure.nccl`; parameters and equation are those of `hwmodel.network.collectives`. Rows of
operations that the model does not have are left out.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hwmodel.hardware.calibration import Family
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.libraries.library import priors
from hwmodel.network import collectives
from hwmodel.network.nccl import ON_ONE_SWITCH, UNMEASURED
from hwmodel.spine.activity import fold
from hwmodel.validation.fit import Array, Sample
from hwmodel.validation.rows import DATA, Row, read_file

FILE = "collective.csv"

CROWDED = priors(
    """
    crossing = 1.5 in 1 .. 30: times slower between four ranks than a pair, over root complexes
    crowd = 0.3 in -1 .. 3: exponent of that in the number of ranks
    """
)
"""What collectives of devices on PCIe are fitted besides."""

MEASURED = tuple(op for op in ON_ONE_SWITCH if op not in UNMEASURED)
"""Operations whose rows are fitted."""


def prior_of(family: Family, hardware: Hardware) -> Family:
    """Where a fit starts: of links by PCIe with what more than a pair of devices cost."""
    if hardware.link is None or not hardware.link.technology.startswith("PCIe"):
        return family
    return family.model_copy(update={"parameters": {**CROWDED.parameters, **family.parameters}})


def read_collectives(device: str, data: Path = DATA) -> list[Row]:
    """Measured collectives of a device, of all numbers of ranks and all sittings."""
    files = sorted(data.glob(f"{device}-x*/*/{FILE}"))
    rows = [row for path in files for row in read_file(path, path.parent.name, path.parent)]
    return [row for row in rows if row.columns["op"] in MEASURED]


def samples(rows: Sequence[Row], hardware: Hardware) -> list[Sample]:
    """Rows by operation, with their predicted times as a function of the family's parameters."""
    found: list[Sample] = []
    for op in MEASURED:
        mine = tuple(row for row in rows if row.columns["op"] == op)
        if mine:
            measured = np.array([row.time_s for row in mine])
            found.append(Sample(mine, measured, partial(predicted_s, op, mine, hardware)))
    return found


def predicted_s(
    op: str, rows: Sequence[Row], hardware: Hardware, parameters: Mapping[str, float]
) -> Array:
    """Predicted time of every row of one operation."""
    size, ranks = sizes(rows)
    tree, rates = collectives.with_parameters(op, size, ranks, hardware, parameters)
    return np.asarray(fold(tree, rates).time_s)


def sizes(rows: Sequence[Row]) -> tuple[Array, Array]:
    """Bytes and ranks of every row."""
    size, ranks = (np.array([float(row.columns[n]) for row in rows]) for n in ("bytes", "ranks"))
    return size, ranks
