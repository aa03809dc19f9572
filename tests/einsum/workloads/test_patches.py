"""Patches: tiles and recomputation as published, and receptive fields walked back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.workloads.cnn import cnn, network
from hwmodel.einsum.workloads.layer import Network
from hwmodel.einsum.workloads.patches import patched, splits

MOBILE = network("mobilenetv2", 224, 1.0, None)
WORDS = network("mcunet-vww1", None, 1.0, None)


def test_mobilenetv2_in_4_by_4_patches_reads_tiles_of_75_by_75() -> None:
    found = patched(MOBILE, 4, 13)
    assert [tile.height for tile in found.tiles if tile.kind != "add"] == [
        *(75, 37, 35, 35, 35, 17, 17, 17, 15, 15, 15, 7)
    ]
    assert found.tiles[-1].out_height == 7


def test_mobilenetv2_in_4_by_4_patches_recomputes_what_was_published() -> None:
    found = patched(MOBILE, 4, 13)
    assert found.stage_overhead == pytest.approx(0.419, abs=5e-4)
    assert found.overhead == pytest.approx(0.127, abs=5e-4)


def test_the_visual_wake_words_example() -> None:
    """n_patches=2, split_index=5 of the published example: tiles 47-23-21-21-21, 10 out."""
    found = patched(WORDS, 2, 5)
    assert [tile.height for tile in found.tiles] == [47, 23, 21, 21, 21]
    assert found.tiles[-1].out_height == 10
    assert found.stage_overhead == pytest.approx(0.173, abs=5e-4)
    assert found.overhead == pytest.approx(0.029, abs=5e-4)


def _rows_read(net: Network, split: int, rows: range) -> int:
    """Rows of the image between the first and last that rows of the stage's output depend on."""
    low, high = rows.start, rows.stop - 1
    for layer in reversed(net.layers[:split]):
        low = low * layer.stride - layer.kernel // 2
        high = high * layer.stride - layer.kernel // 2 + layer.kernel - 1
    return high - low + 1


@given(st.sampled_from(splits(MOBILE)), st.integers(2, 14), st.sampled_from([MOBILE, WORDS]))
def test_a_tile_reads_the_rows_that_its_outputs_depend_on(
    split: int, grid: int, net: Network
) -> None:
    if split not in splits(net) or grid > net.layers[split - 1].out_height:
        return
    found = patched(net, grid, split)
    side = found.tiles[-1].out_height
    assert found.tiles[0].height == _rows_read(net, split, range(side))
    assert side * grid >= net.layers[split - 1].out_height
    assert found.macs >= net.macs


def test_a_split_leaves_one_map_alone() -> None:
    """Inside a residual block its input waits for the sum: no split there."""
    inside = [i for i, layer in enumerate(MOBILE.layers) if layer.kind == "add"]
    blocked = {split for at in inside for split in range(MOBILE.layers[at].inputs[1] + 2, at + 1)}
    assert not blocked & set(splits(MOBILE))
    assert 13 in splits(MOBILE)


def test_one_patch_is_layer_by_layer() -> None:
    assert patched(MOBILE).macs == MOBILE.macs
    assert cnn("mcunet-vww1", patches=1, split=3).stages == cnn("mcunet-vww1").stages
