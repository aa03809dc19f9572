"""Vision of Qwen2-VL and Qwen2.5-VL: parameters by hand, windows of patches."""

import pytest

from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError

QWEN2_VL = {
    **{"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_chans": 3},
    **{"hidden_size": 3584, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2},
    "spatial_patch_size": 14,
}
QWEN2_5_VL = {
    **{"depth": 32, "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420},
    **{"num_heads": 16, "in_chans": 3, "out_hidden_size": 3584, "patch_size": 14},
    **{"spatial_merge_size": 2, "spatial_patch_size": 14, "window_size": 112},
    **{"fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2, "temporal_patch_size": 2},
}


def test_the_width_of_qwen2_vls_vision_is_not_its_hidden_size() -> None:
    """By hand: 1,176 numbers of a patch; per layer norms, qkv, output, MLP; the merger's two."""
    layer = 4 * 1280 + 1280 * 3840 + 3840 + 1280 * 1281 + 1280 * 5120 * 2 + 5120 + 1280
    merger = 2 * 1280 + 5120 * 5121 + 5120 * 3584 + 3584
    read = model({"model_type": "qwen2_vl", "vision_config": QWEN2_VL}, part="vision")
    assert read.parameters == 1176 * 1280 + 32 * layer + merger == 675_759_104
    made = {stage.name: stage for stage in read.prefill(1, 1024).stages}
    assert made["attention"].times == 32
    assert made["merger down"].cascade.ranks["n"].size == 3584


def test_patches_of_qwen2_5_vl_see_their_window_but_in_four_layers() -> None:
    """112 pixels are 8 patches: 1,024 patches are 16 windows of 64; scores are 1/16 of all."""
    read = model({"model_type": "qwen2_5_vl", "vision_config": QWEN2_5_VL}, part="vision")
    layer = 2 * 1280 + 1280 * 3840 + 3840 + 1280 * 1281 + 3 * 1280 * 3420 + 2 * 3420 + 1280
    merger = 1280 + 5120 * 5121 + 5120 * 3584 + 3584
    assert read.parameters == 1176 * 1280 + 32 * layer + merger == 676_550_144
    made = {stage.name: stage for stage in read.prefill(2, 1024).stages}
    whole, apart = made["attention"], made["attention, windows of 64"]
    assert (whole.times, apart.times) == (4, 28)
    sizes = [apart.cascade.ranks[rank].size for rank in ("b", "m", "p")]
    assert sizes == [2 * 16, 64, 64]
    products = [cascade_counts(stage.cascade)["multiply", "bf16"] for stage in (whole, apart)]
    assert products[0] >= 2 * (2 * 16 * 1024 * 1024 * 80)
    assert products[0] == 16 * products[1]


def test_windows_of_patches_are_no_more_than_there_are_and_the_last_is_whole() -> None:
    read = model({"model_type": "qwen2_5_vl", "vision_config": QWEN2_5_VL}, part="vision")
    for patches, windows, size in ((48, 1, 48), (100, 2, 64)):
        made = {stage.name: stage for stage in read.prefill(1, patches).stages}
        ranks = made["attention, windows of 64"].cascade.ranks
        assert (ranks["b"].size, ranks["m"].size, ranks["p"].size) == (windows, size, size)
        assert made["qkv"].cascade.ranks["m"].size == patches


def test_a_window_that_holds_no_square_of_patches_is_refused() -> None:
    config = {"model_type": "qwen2_5_vl_vision", "window_size": 27}
    with pytest.raises(InputError, match=r"window_size: .*a square of patches \(28\), found 27"):
        model(config)
