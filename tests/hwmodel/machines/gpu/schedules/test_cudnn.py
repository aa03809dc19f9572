"""cuDNN's attention launches: padding, which keys are split, and into how many parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.workloads.attention import attention
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile, activity
from hwmodel.machines.gpu.schedules.cudnn import DECODE_MENU, PREFILL_MENU, resolved
from hwmodel.machines.gpu.schedules.flash import MENU as FLASH_MENU
from hwmodel.spine.activity import totals

H200 = limits(device("h200"))


def problem(**changes: object) -> AttentionProblem:
    """One query of 32 heads over 8 KV heads."""
    sizes: dict[str, object] = {"batch": 1, "heads": 32, "kv_heads": 8, "queries": 1, "keys": 8192}
    sizes |= {"head_dim": 128, "value_dim": changes.get("head_dim", 128)} | changes
    return AttentionProblem(**sizes)  # type: ignore[arg-type]


def decode(**changes: object) -> AttentionTile:
    """The decode launch."""
    return resolved(DECODE_MENU[0], problem(**changes), H200)


def test_a_head_of_96_is_computed_as_one_of_128() -> None:
    narrow, wide = (
        totals(activity(problem(queries=512, keys=512, head_dim=d), PREFILL_MENU[0], H200))
        for d in (96, 128)
    )
    assert narrow.operations == wide.operations
    assert narrow.read["dram"] == wide.read["dram"] * 96 / 128


@given(batch=st.integers(1, 300), keys=st.integers(1, 200_000), head_dim=st.sampled_from((64, 256)))
def test_splits_give_each_processor_at_most_one_block(batch: int, keys: int, head_dim: int) -> None:
    split = int(decode(batch=batch, keys=keys, head_dim=head_dim).split)
    assert split == 1 or split * batch * 8 <= 132
    assert split <= max(1, -(-keys // 128))


def test_short_keys_are_walked_by_one_block() -> None:
    assert decode(keys=512).split == 1
    assert decode(keys=513).split == 5
    assert decode(keys=65536).split == 16


def test_wide_heads_split_into_a_power_of_two_and_load_nothing_ahead() -> None:
    wide = decode(batch=3, head_dim=256, keys=65536)
    assert (wide.split, wide.stages) == (4, 1)
    assert (decode(batch=3, keys=65536).split, decode(batch=3).stages) == (5, 2)


def test_a_sweep_launches_what_its_points_launch() -> None:
    batch = np.array([1.0, 2, 9, 40])
    swept = resolved(DECODE_MENU[0], problem(batch=batch), H200)
    assert list(np.ravel(swept.split)) == [int(decode(batch=int(each)).split) for each in batch]


@pytest.mark.parametrize("head_dim", [64, 128, 256])
def test_a_block_of_many_queries_is_128_by_128(head_dim: int) -> None:
    counts = totals(activity(problem(queries=1, keys=1, head_dim=head_dim), PREFILL_MENU[0], H200))
    assert counts.operations["matrix", "flop", "bf16"] == 32 * 2 * 128 * 128 * 2 * head_dim


def test_a_warpgroup_reads_an_operand_from_shared_memory_once() -> None:
    """wgmma: four warps share what they read. Eight warps are two readers of each K and V."""
    many = totals(activity(problem(queries=512, keys=512), PREFILL_MENU[0], H200))
    assert many.read["shared"] == 2 * float(many.read["l2"])
    few = totals(activity(problem(), decode(), H200))
    moved = 8192 * 8 * 2 * 128 * 2
    assert few.read["shared"] == few.written["shared"] == pytest.approx(moved)


def test_a_warp_of_flash_attention_reads_operands_for_itself() -> None:
    """mma: each of four warps loads its fragments of K and V."""
    found = totals(activity(problem(queries=512, keys=512), FLASH_MENU[0], H200))
    assert found.read["shared"] == 4 * float(found.read["l2"])


@pytest.mark.parametrize(
    ("batch", "heads", "kv_heads", "keys", "head_dim", "measured_s"),
    [(64, 71, 1, 2048, 128, 55.27e-6), (32, 256, 2, 31808, 128, 804e-6),
     (95, 512, 8, 946, 128, 187.08e-6), (16, 384, 4, 2048, 128, 56.16e-6)],
)  # fmt: skip
def test_measured_steps_of_many_heads_for_each_kv_head(
    batch: int, heads: int, kv_heads: int, keys: int, head_dim: int, measured_s: float
) -> None:
    """Test half of board d025b8a8, and board f2c878ac. 71 heads were priced at 864 us."""
    work = attention(batch, heads, 1, keys, head_dim, kv_heads=kv_heads)
    found = predict(work, device("h200"), kernel="cudnn")
    assert found.time_s == pytest.approx(measured_s, rel=0.13)
