"""Launch records of an H200 against the launches that the model counts with.

`launches.csv` holds, for some 2,100 calls, every kernel launched: name, grid, block. Where a
library's rule is known (FlashAttention-2, torch's row kernels and grouped product) every record
must be met; where a rule was inferred (cuBLAS, cuDNN), no fewer than today.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, prod
from typing import Any, cast

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.machines.gpu.calls import run
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.validation.rows import DATA, Row, groups

SITTING = "2026-11-22-g"
MEMORY = ("Memcpy", "Memset")
NVJET = re.compile(r"nvjet_sm90_\w+?_(\d+)x(\d+)_(\d+)x\d+_(\d)x(\d)")
"""Names of cuBLAS' bulk kernels: columns and rows of the tile, depth of a slice, cluster."""
COPIED = re.compile(r"(?:tilesize|gemm_|f16_|f32_)(\d+)x(\d+)[x_]")
"""The same of kernels that copy thread by thread."""


@dataclass(frozen=True)
class Launch:
    """One kernel: its name, blocks by dimension; threads, registers and bytes of a block."""

    name: str
    grid: tuple[int, ...]
    threads: int
    registers: int
    shared_bytes: int

    @property
    def resident(self) -> int:
        """Blocks that a processor of Hopper holds (CUDA C++ Programming Guide, 9.0)."""
        registers = 65536 // (8 * ceil(self.registers / 8) * self.threads)
        shared = 228 * 1024 // (self.shared_bytes + 1024)
        return min(32, 2048 // self.threads, registers, shared)


@dataclass(frozen=True)
class Called:
    """A call as it was measured, its kernels, and the record of the call that the model counts."""

    sizes: Mapping[str, Any]
    launches: Sequence[Launch]
    tile: Mapping[str, float]

    @property
    def blocks(self) -> int:
        """Blocks of the first kernel."""
        return prod(self.launches[0].grid)

    def named(self, word: str) -> bool:
        """Whether a kernel's name holds the word."""
        return any(word in launch.name for launch in self.launches)


def rows() -> list[Row]:
    """One row a call, with its launches; memory copies and sets are no kernels."""
    path = DATA / "h200" / SITTING / "launches.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    found: list[Row] = []
    for line in lines:
        if line["launch"] == "0":
            named = {n: _value(v) for n, v in line.items() if v and n not in ("launch", "name")}
            found.append(Row(SITTING, "a board", named | {"launches": list[Launch]()}))
        if not line["name"].startswith(MEMORY):
            grid = tuple(int(size) for size in line["grid"].split("x"))
            of_block = (int(line[name]) for name in ("threads", "registers", "shared_bytes"))
            launch = Launch(line["name"], grid, *of_block)
            found[-1].columns["launches"].append(launch)
    return found


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


@cache
def called() -> dict[tuple[str, str], list[Called]]:
    """Calls of the H200 by family and kernel."""
    machine = device("h200")
    assert machine.calibration is not None
    found: dict[tuple[str, str], list[Called]] = defaultdict(list)
    for group in groups(row for row in rows() if row.columns["launches"]):
        call = group.calls[0]
        parameters = family_of(machine.calibration, call.family).parameters
        tile = run(call, machine, {n: p.value for n, p in parameters.items()}).tile
        fields = cast(dict[str, Any], vars(tile))
        points = {n: np.broadcast_to(v, (len(group.rows),)) for n, v in fields.items()}
        for point, row in enumerate(group.rows):
            record = {name: float(values[point]) for name, values in points.items()}
            family, kernel, *_ = row.form
            one = Called(row.columns, row.columns["launches"], record)
            found[family, kernel].append(one)
    return found


def attention_blocks(call: Called) -> int:
    """Blocks of an attention launch: heads, or KV heads, by blocks of rows, by parts of keys."""
    sizes, tile = call.sizes, call.tile
    packed = tile["packed"] and sizes["queries"] <= 1
    heads = sizes["kv_heads"] if packed else sizes["heads"]
    rows = sizes["queries"] * (sizes["heads"] / sizes["kv_heads"] if packed else 1)
    return int(sizes["batch"] * heads * ceil(rows / tile["block_q"]) * tile["split"])


def test_flash_attention_splits_the_keys_as_it_was_seen_to() -> None:
    calls = called()["attention", "flash-attention-2"]
    assert len(calls) > 250
    assert {call.tile["split"] > 1 for call in calls} == {True, False}
    for call in calls:
        assert call.named("splitkv_kernel") == (call.tile["split"] > 1), call
        assert call.blocks == attention_blocks(call), call
        assert call.launches[0].resident == call.tile["resident"], call


@pytest.mark.parametrize("family", ["add", "gelu"])
def test_elementwise_kernels_have_the_blocks_that_were_seen(family: str) -> None:
    calls = called()[family, "torch"]
    assert len(calls) >= 20
    for call in calls:
        elements = call.sizes["rows"] * call.sizes["cols"]
        assert call.blocks == ceil(elements / call.tile["elements"]), call
        assert call.launches[0].threads == 32 * call.tile["warps"], call


@pytest.mark.parametrize(("family", "least"), [("softmax", 20), ("rmsnorm", 20), ("layernorm", 20)])
def test_kernels_of_rows_have_the_blocks_and_kernels_that_were_seen(
    family: str, least: int
) -> None:
    calls = called()[family, "torch"]
    assert len(calls) >= least
    for call in calls:
        assert call.blocks == ceil(call.sizes["rows"] / call.tile["rows"]), call
        assert call.launches[0].threads == 32 * call.tile["warps"], call
        assert len(call.launches) == 1 + call.tile["second"], call


@pytest.mark.parametrize(("family", "apart"), [("rmsnorm", 0), ("layernorm", 2), ("softmax", 10)])
def test_as_many_blocks_of_rows_share_a_processor_as_their_registers_allow(
    family: str, apart: int
) -> None:
    """But for as many calls; a softmax's registers are taken as one for each element and 30."""
    calls = called()[family, "torch"]
    pairs = [(call.launches[0].resident, call.tile["resident"]) for call in calls]
    assert sum(seen != said for seen, said in pairs) <= apart
    assert all(0.65 * seen <= said <= 1.34 * seen for seen, said in pairs), pairs


def test_grouped_products_run_the_kernel_that_was_seen() -> None:
    """The small tile is that of the "pingpong" kernel."""
    calls = called()["moe", "torch"]
    assert len(calls) >= 250
    for call in calls:
        assert call.named("Pingpong") == (call.tile["block_m"] == 64), call
    assert {call.tile["block_m"] for call in calls} == {64, 128}


def agreeing(kernel: str, dtype: str) -> dict[str, int]:
    """How many of cuBLAS' launches are met, of how many: kind of kernel, splits, tile."""
    words = ("calls", "bulk", "split", "bulk calls", "tile", "depth", "cluster", "copied", "parts")
    met: dict[str, int] = dict.fromkeys(words, 0)
    for call in called()["gemm", kernel]:
        if call.sizes["dtype"] != dtype:
            continue
        tile, name = call.tile, NVJET.search(call.launches[0].name)
        met["calls"] += 1
        met["bulk"] += bool(name) == bool(tile["persistent"])
        met["split"] += call.named("splitK") == (tile["split"] > 1 and not tile["in_turn"])
        if name and tile["persistent"]:
            columns, rows, depth, *cluster = (int(size) for size in name.groups())
            met["bulk calls"] += 1
            met["tile"] += (rows, columns) == (tile["block_m"], tile["block_n"])
            met["depth"] += depth == tile["block_k"]
            met["cluster"] += prod(cluster) == tile["multicast"]
        elif copied := COPIED.search(call.launches[0].name):
            columns, rows = (int(size) for size in copied.groups())
            met["copied"] += (rows, columns) == (tile["block_m"], tile["block_n"])
            met["parts"] += call.launches[0].grid[2] == tile["split"]
    return met


LEAST_MET = {
    ("cublas", "bf16"): {"bulk": 700, "split": 677, "tile": 258, "cluster": 443, "parts": 89},
    ("cublas", "fp16"): {"bulk": 297, "split": 284, "tile": 98, "cluster": 166, "parts": 42},
    ("cublas", "fp8"): {"bulk": 198, "split": 188, "tile": 92, "cluster": 143},
    ("cublas-fast-accum", "fp8"): {"bulk": 202, "split": 200, "tile": 106, "cluster": 179},
    ("cublas", "tf32"): {"split": 128, "copied": 61, "parts": 88},
    ("cublas", "fp32"): {"bulk": 318, "split": 179, "copied": 116, "parts": 121},
}
"""Launches of cuBLAS met by the rule of `cublas_rules`, of those recorded: today's counts."""


@pytest.mark.parametrize(("kernel", "dtype"), LEAST_MET)
def test_as_many_launches_of_cublas_are_met_as_before(kernel: str, dtype: str) -> None:
    met = agreeing(kernel, dtype)
    assert met["depth"] == met["bulk calls"]
    for name, least in LEAST_MET[kernel, dtype].items():
        assert met[name] >= least, name


def test_cudnn_launches_blocks_as_was_seen() -> None:
    """For many queries a block a processor, or one for each tile; for few, parts of the keys."""
    calls = called()["attention", "cudnn"]
    many = [call for call in calls if call.named("wgmma")]
    few = [call for call in calls if not call.named("wgmma")]
    assert (len(many), len(few)) == (100, 200)
    for call in many:
        assert call.blocks == min(132, attention_blocks(call)), call
        assert call.launches[0].threads == 384
    assert all(call.launches[0].threads == 32 * call.tile["warps"] for call in few)
    splits = [call.named("reduction") == (call.tile["split"] > 1) for call in few]
    assert sum(splits) >= 196
    assert sum(call.blocks == attention_blocks(call) for call in few) >= 116
