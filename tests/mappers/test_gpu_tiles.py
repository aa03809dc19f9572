"""Ranking launch records of our kernels without running them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.errors import CapacityError, InputError
from hwmodel.mappers.gpu_tiles import rank_tiles
from hwmodel.registry import device, load_calibration
from hwmodel.validation.calibrate import PRIORS
from hwmodel.validation.rows import SIZES, Row, read_rows

H200 = device("h200").model_copy(update={"calibration": load_calibration(PRIORS)})
WITHIN = 0.05
"""The measured time of the tile ranked first over that of the best one, less one, on average."""


def workload(family: str, sizes: Mapping[str, Any]) -> Any:
    return WORKLOADS[family](**sizes)


def test_tiles_come_fastest_first_and_only_those_that_are_worth_trying() -> None:
    ranked = rank_tiles(workload("gemm", {"M": 4096, "N": 4096, "K": 4096}), H200)
    times = [each.time_s for each in ranked]
    assert times == sorted(times)
    assert len(ranked) == 8  # every tile fills the machine unsplit
    assert all(each.time_low_s < each.time_s < each.time_high_s for each in ranked)
    assert ranked[0].tile.block_m >= 64 > ranked[-1].tile.block_m


def test_one_row_prefers_short_tiles() -> None:
    ranked = rank_tiles(workload("gemm", {"M": 1, "N": 24576, "K": 1536}), H200)
    assert ranked[0].tile.block_m < 128 == ranked[-1].tile.block_m


def test_few_long_sequences_split_their_keys() -> None:
    sizes = {"batch": 1, "heads": 32, "kv_heads": 8, "queries": 1, "keys": 65536, "head_dim": 128}
    ranked = rank_tiles(workload("attention", sizes), H200)
    assert ranked[0].tile.split >= 16
    assert ranked[-1].tile.split == 1


def test_a_layer_of_several_kernels_asks_which() -> None:
    sizes = {"tokens": 512, "experts": 8, "top_k": 2, "hidden": 4096, "intermediate": 14336}
    with pytest.raises(InputError, match="name one with call="):
        rank_tiles(workload("moe", sizes), H200)
    assert {each.tile.split for each in rank_tiles(workload("moe", sizes), H200, call="Y")} == {1}


def test_arrays_are_refused() -> None:
    sizes = {"M": np.array([1.0, 2.0]), "N": 64, "K": 64}
    with pytest.raises(InputError, match="single sizes"):
        rank_tiles(workload("gemm", sizes), H200)


def test_a_device_without_room_is_refused() -> None:
    small = H200.but(processors={"shared_per_block": "16 KiB"})
    with pytest.raises(CapacityError, match="no tile of the gemm menu"):
        rank_tiles(workload("gemm", {"M": 4096, "N": 4096, "K": 4096}), small)


def menus() -> dict[tuple[Any, ...], list[Row]]:
    """Measured rows of whole menus, by shape; no fit reads them."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in read_rows("h200"):
        if row.columns.get("pass") == "menu":
            found.setdefault(row.shape, []).append(row)
    return {shape: rows for shape, rows in found.items() if len(rows) > 2}


def test_the_first_of_a_measured_menu_is_near_its_best() -> None:
    losses: list[float] = []
    for rows in menus().values():
        columns = rows[0].columns
        family = str(columns["family"])
        sizes = {name: int(columns[name]) for name in SIZES[family]}
        if family == "attention":
            sizes["causal"] = bool(columns["causal"])
        first = rank_tiles(WORKLOADS[family](**sizes, dtype=columns["dtype"]), H200)[0].tile
        names = [name for name in vars(first) if f"tile_{name}" in columns]
        names = [name for name in names if name not in ("resident", "persistent")]
        measured = [
            row.time_s
            for row in rows
            if all(row.columns[f"tile_{name}"] == getattr(first, name) for name in names)
        ]
        if measured:
            losses.append(measured[0] / min(row.time_s for row in rows) - 1)
    assert len(losses) >= 30
    assert float(np.mean(losses)) <= WITHIN
