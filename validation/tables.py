"""Tables of collectives that others published, as rows for a fit.

One file a device, `GPU.nccl.csv`, of the package aiconfigurator-core (Apache-2.0): columns
`op_name, nccl_dtype, version, num_gpus, message_size, latency_us`; a message has so many elements,
of two bytes (`half`) or one (`int8`), counted as nccl-tests does. Nothing of them is shipped: a
calibration that was fitted to some of them says so in its family's `source`.
"""

import csv
from pathlib import Path

from hwmodel.network.nccl import ON_ONE_SWITCH
from hwmodel.validation.rows import Row

NAMED = {"alltoall": "all_to_all"}
"""Operations that go by another name there."""

BYTES = {"half": 2, "int8": 1}


def nccl_rows(path: Path) -> list[Row]:
    """The rows of one file, of the operations that are modelled on one switch."""
    found: list[Row] = []
    with path.open(encoding="utf-8", newline="") as text:
        for line in csv.DictReader(text):
            op = NAMED.get(line["op_name"], line["op_name"])
            if op not in ON_ONE_SWITCH:
                continue
            columns = {
                **{"family": "collective", "kernel": "nccl", "dtype": line["nccl_dtype"], "op": op},
                "bytes": int(line["message_size"]) * BYTES[line["nccl_dtype"]],
                "ranks": int(line["num_gpus"]),
                "time_s": float(line["latency_us"]) * 1e-6,
            }
            found.append(Row(path.stem, f"published, NCCL {line['version']}", columns))
    return found
