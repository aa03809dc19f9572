"""Ranking launch records of our kernels without running them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.hardware.catalogue import device, load_calibration
from hwmodel.mappers.gpu_tiles import certified, map_launches, rank_tiles
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.validation.calibrate import PRIORS

H200 = device("h200").model_copy(update={"calibration": load_calibration(PRIORS)})


def workload(family: str, sizes: Mapping[str, Any]) -> Any:
    return WORKLOADS[family](**sizes)


def test_tiles_come_fastest_first_and_only_those_that_are_worth_trying() -> None:
    ranked = rank_tiles(workload("gemm", {"M": 4096, "N": 4096, "K": 4096}), H200)
    times = [each.time_s for each in ranked]
    assert times == sorted(times)
    assert (
        len(ranked) == 10
    )  # every tile fills the machine unsplit; two also are stored in parts and persist
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


def test_a_ranking_shows_what_differs_in_columns_and_what_is_alike_below() -> None:
    found = certified(map_launches, workload("gemm", {"M": 4096, "N": 4096, "K": 4096}), H200)
    tiles: list[dict[str, Any]] = [vars(each.tile) for each in found.tiles]
    differ = {name for name in tiles[0] if len({tile[name] for tile in tiles}) > 1}
    assert "block_m" in differ
    _, table, alike, proof = str(found).split("\n\n")
    assert "nothing in 'gemm menu' is better" in proof
    head = table.splitlines()[0]
    for name in tiles[0]:
        word = name.removeprefix("block_").replace("_", " ")
        assert (f" {word} " in f" {head} ") == (name in differ)
        assert (f"{word} {tiles[0][name]}" in " ".join(alike.split())) == (name not in differ)
