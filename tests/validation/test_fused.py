"""Rows of fused kernels: the cascade of their columns is the kernel that was launched."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from hwmodel.validation import fused
from hwmodel.validation.rows import Group, Row, groups, kernels_known
from hwmodel.validation.store import file_of

ROWS: Mapping[str, Mapping[str, Any]] = {
    "power_attention": {
        **{"batch": 2.0, "heads": 4.0, "tokens": 256.0, "features": 16.0, "values": 112.0},
        **{"tile_chunk": 64.0, "tile_block_v": 32.0, "tile_warps": 4.0, "tile_stages": 1.0},
    },
    "chunk_scan": {
        **{"batch": 2.0, "heads": 4.0, "tokens": 256.0, "state": 64.0, "values": 64.0},
        **{"tile_chunk": 64.0, "tile_block_v": 64.0, "tile_warps": 4.0, "tile_stages": 1.0},
    },
    "delta_rule": {
        **{"batch": 2.0, "heads": 4.0, "tokens": 256.0, "state": 64.0, "values": 64.0},
        **{"tile_chunk": 32.0, "tile_block_v": 64.0, "tile_warps": 4.0, "tile_stages": 1.0},
    },
    "kmeans_assignment": {
        **{"points": 65536.0, "clusters": 512.0, "dimensions": 128.0},
        **{"tile_block_n": 64.0, "tile_block_k": 64.0, "tile_warps": 4.0, "tile_stages": 2.0},
    },
    "kmeans_update": {
        **{"points": 65536.0, "clusters": 512.0, "dimensions": 128.0, "skewed": 0.0},
        **{"largest_cluster": 160.0, "tile_points": 64.0, "tile_warps": 4.0, "tile_sorted": 0.0},
    },
    "fft_convolution": {
        **{"batch": 8.0, "channels": 64.0, "length": 1024.0, "gated": 1.0, "tile_pairs": 2.0},
        **{"tile_warps": 8.0, "tile_cols": 64.0, "tile_outer_warps": 4.0},
    },
    "rational_backward": {
        **{"rows": 1970.0, "cols": 768.0, "groups": 8.0, "tile_rows": 256.0, "tile_step": 4.0},
        **{"tile_warps": 4.0, "tile_each": 1.0},
    },
    "depthwise": {
        **{"batch": 2.0, "height": 28.0, "width": 28.0, "channels": 96.0, "tall": 3.0},
        **{"wide": 3.0, "stride": 1.0, "above": 1.0, "below": 1.0, "left": 1.0, "right": 1.0},
        **{"tile_pixels": 32.0, "tile_channels": 32.0, "tile_warps": 4.0},
    },
    "norm_quantise": {
        **{"rows": 512.0, "cols": 1024.0, "tile_elements": 1024.0, "tile_warps": 4.0},
        **{"tile_resident": 8.0, "tile_rows": 1.0},
    },
}
SCHEDULES = {
    **dict.fromkeys(("power_attention", "chunk_scan", "delta_rule"), "scan"),
    **{"kmeans_assignment": "nearest", "kmeans_update": "scatter", "depthwise": "stencil"},
    **{"fft_convolution": "monarch", "rational_backward": "gradients", "norm_quantise": "rows"},
}


def group(family: str, **more: Any) -> Group:
    dtype = "fp32" if family == "rational_backward" else "fp16"
    columns = {"family": family, "kernel": "triton", "dtype": dtype, "time_s": 1e-3}
    (found,) = groups([Row("s", "b", columns | dict(ROWS[family]) | more)])
    return found


@pytest.mark.parametrize("family", ROWS)
def test_a_row_is_one_kernel_launched_with_its_own_tile(family: str) -> None:
    (call,) = group(family).calls
    assert call.family == f"{SCHEDULES[family]}:triton"
    (tile,) = call.menu
    named = {k.removeprefix("tile_"): v for k, v in ROWS[family].items() if k.startswith("tile_")}
    assert {name: np.asarray(getattr(tile, name)).item() for name in named} == named
    assert file_of({"stage": "any", "family": family}) == family


def test_all_families_are_read() -> None:
    assert {*ROWS} == {*fused.SIZES} == {*fused.MADE} == {*fused.FORMS}


def test_a_cluster_row_has_its_fullest_cluster() -> None:
    (call,) = group("kmeans_update").calls
    assert np.asarray(call.problem.hottest).item() == pytest.approx(160, rel=0.1)
    assert np.asarray(call.problem.sources).item() == 65536


def test_rows_of_several_sizes_are_one_form_and_lengths_are_not() -> None:
    rows = [
        Row("s", "b", {"family": "fft_convolution", "kernel": "triton", "dtype": "fp16"}
            | dict(ROWS["fft_convolution"]) | {"batch": batch, "length": length})
        for batch, length in ((2.0, 1024.0), (4.0, 1024.0), (2.0, 4096.0))
    ]  # fmt: skip
    assert sorted(len(found.rows) for found in groups(rows)) == [1, 2]


def test_what_torch_does_in_their_place_is_not_predicted() -> None:
    ours = {"family": "rational_backward", "kernel": "triton"}
    assert kernels_known(Row("s", "b", ours))
    assert not kernels_known(Row("s", "b", ours | {"kernel": "torch"}))
    assert kernels_known(Row("s", "b", {"family": "softmax", "kernel": "torch"}))
