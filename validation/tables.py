"""Tables of collectives that others published, as rows for a fit.

Of the package aiconfigurator-core (Apache-2.0), files of one device each: `GPU.nccl.csv` with
columns `op_name, nccl_dtype, version, num_gpus, message_size, latency_us`, and
`GPU.custom_allreduce.csv` of engines' own all-reduces with `kernel_source, allreduce_dtype`. A
message has so many elements, of two bytes (`half`, `bfloat16`) or one (`int8`), counted as
nccl-tests does. Nothing of them is shipped: a
calibration that was fitted to some of them says so in its family's `source`.
"""

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.network.nccl import ON_ONE_SWITCH, UNMEASURED, fastest
from hwmodel.network.small import small_ways, takes
from hwmodel.spine.activity import fold
from hwmodel.validation.collective import sizes
from hwmodel.validation.fit import Array, Sample
from hwmodel.validation.rows import Row

NAMED = {"alltoall": "all_to_all"}
"""Operations that go by another name there."""

BYTES = {"half": 2, "bfloat16": 2, "int8": 1}


def nccl_rows(path: Path) -> list[Row]:
    """The rows of one file, of the operations that are modelled on one switch."""
    found: list[Row] = []
    with path.open(encoding="utf-8", newline="") as text:
        for line in csv.DictReader(text):
            op = NAMED.get(line["op_name"], line["op_name"])
            if op not in ON_ONE_SWITCH or op in UNMEASURED:
                continue
            columns = {
                **{"family": "collective", "kernel": "nccl", "dtype": line["nccl_dtype"], "op": op},
                "bytes": int(line["message_size"]) * BYTES[line["nccl_dtype"]],
                "ranks": int(line["num_gpus"]),
                "time_s": float(line["latency_us"]) * 1e-6,
            }
            found.append(Row(path.stem, f"published, NCCL {line['version']}", columns))
    return found


ENGINES = {
    "vLLM_custom_graph": "vllm",
    "vLLM_custom_eager": "vllm:eager",
    "TRTLLM": "trtllm",
}
"""What engines' all-reduces are called there -> their library here."""


def engine_rows(path: Path) -> list[Row]:
    """The rows of engines' all-reduces of one file, up to the sizes that go their own way."""
    found: list[Row] = []
    with path.open(encoding="utf-8", newline="") as text:
        for line in csv.DictReader(text):
            kernel = ENGINES.get(line["kernel_source"])
            size = int(line["message_size"]) * BYTES[line["allreduce_dtype"]]
            if kernel is None or not takes(kernel, "all_reduce", size, int(line["num_gpus"])):
                continue
            columns = {
                **{"family": "collective", "kernel": kernel, "op": "all_reduce", "bytes": size},
                "dtype": line["allreduce_dtype"],
                "ranks": int(line["num_gpus"]),
                "time_s": float(line["latency_us"]) * 1e-6,
            }
            found.append(
                Row(path.stem, f"published, {line['framework']} {line['version']}", columns)
            )
    return found


def engine_samples(rows: Sequence[Row], hardware: Hardware) -> list[Sample]:
    """Rows by library, with their predicted times as a function of the family's parameters."""
    found: list[Sample] = []
    for kernel in ENGINES.values():
        mine = tuple(row for row in rows if row.columns["kernel"] == kernel)
        if mine:
            measured = np.array([row.time_s for row in mine])
            found.append(Sample(mine, measured, partial(_engine_s, kernel, mine, hardware)))
    return found


def _engine_s(
    kernel: str, rows: Sequence[Row], hardware: Hardware, parameters: Mapping[str, float]
) -> Array:
    size, ranks = sizes(rows)
    tree, rates, _ = fastest(small_ways(kernel, size, ranks, hardware, parameters))
    return np.asarray(fold(tree, rates).time_s)
