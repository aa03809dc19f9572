"""Answers as JSON: every value is plain, every name that of the Python value."""

import json
import math
from typing import Any

import numpy as np
import pytest

import hwmodel
from hwmodel.bounds.limit import Limit
from hwmodel.hardware.catalogue import device
from hwmodel.show.json import device_record, full_record, plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(2.5), 2.5),
        (np.array([[1.0, math.nan]]), [[1.0, None]]),
        (math.inf, None),
        ({("matrix", "bf16"): (1, 2)}, {"('matrix', 'bf16')": [1, 2]}),
        (None, None),
        (True, True),
        (10**30, 10**30),
    ],
)
def test_values_become_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_an_estimate_of_a_sweep_is_lists() -> None:
    sweep = hwmodel.workloads.gemm(M=np.array([16.0, 1024.0]), N=512, K=512)
    estimate = hwmodel.predict(sweep, on="h200")
    record = json.loads(json.dumps(full_record(estimate), allow_nan=False))
    assert record["time_s"] == np.asarray(estimate.time_s).tolist()
    assert len(record["parts"][0]["time_s"]) == 2
    assert record["memory"] is None
    assert record["tokens_per_s"] is None


def test_operations_are_named_by_unit_kind_and_format() -> None:
    """Sizes that every tile divides: nothing is padded."""
    estimate = hwmodel.predict(hwmodel.workloads.gemm(M=4096, N=4096, K=4096), on="h200")
    operations = full_record(estimate)["parts"][0]["operations"]
    assert operations["matrix flop bf16"] == 2 * 4096**3


def test_a_bound_says_level_bytes_and_reason() -> None:
    work = hwmodel.workloads.copy(rows=100, cols=300)
    limit = hwmodel.bound(work, on="h200")
    assert isinstance(limit, Limit)
    record = json.loads(json.dumps(full_record(limit)))
    assert record["dram_bytes"] == 2 * 100 * 300 * 2
    assert [level["level"] for level in record["levels"]] == ["dram", "l2", "shared"]
    assert record["levels"][0]["reason"]


def test_a_device_has_a_source_for_each_number() -> None:
    record = json.loads(json.dumps(device_record(device("b200")), allow_nan=False))
    assert record["memories"]["dram"]["capacity_bytes"] == 180e9
    assert record["sources"]["memories.dram.capacity"]
