"""FlashAttention-2's launches against its published tiles and a literal walk of its split rule."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.calls import Result, run
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile, row_blocks
from hwmodel.machines.gpu.schedules.flash import MENU, resolved, splits

H200 = limits(device("h200"))
MOST = 128


def launch(**changes: object) -> AttentionTile:
    """The launch for 32 heads over 8 KV heads."""
    sizes: dict[str, object] = {"batch": 1, "heads": 32, "kv_heads": 8, "queries": 1, "keys": 8192}
    sizes |= {"head_dim": 128, "value_dim": changes.get("head_dim", 128)} | changes
    return resolved(MENU[0], AttentionProblem(**sizes), H200)  # type: ignore[arg-type]


def walked(blocks: int, steps: int, slots: int) -> int:
    """The rule one candidate after the other, in single precision as the library computes."""
    if blocks >= 0.8 * slots:
        return 1
    shares: dict[int, float] = {}
    for count in range(1, min(MOST, slots, steps) + 1):
        if count == 1 or ceil(steps / count) != ceil(steps / (count - 1)):
            waves = np.float32(blocks * count) / np.float32(slots)
            shares[count] = float(waves / np.float32(ceil(waves)))
    return min(count for count, share in shares.items() if share >= 0.85 * max(shares.values()))


@given(
    blocks=st.lists(st.integers(1, 400), min_size=1, max_size=20),
    steps=st.integers(1, 2000),
    slots=st.sampled_from((264, 216, 38)),
)
@settings(max_examples=60)
def test_splits_are_those_of_the_rule_walked_candidate_by_candidate(
    blocks: list[int], steps: int, slots: int
) -> None:
    found = splits(np.array(blocks, dtype=np.float64), steps, slots)
    assert list(np.ravel(found)) == [walked(each, steps, slots) for each in blocks]
    assert splits(blocks[0], steps, slots) == walked(blocks[0], steps, slots)


@pytest.mark.parametrize(
    ("head_dim", "tile"), [(64, (128, 128)), (96, (128, 64)), (128, (128, 64)), (256, (64, 64))]
)
def test_tiles_of_many_queries_are_those_that_hopper_gets(
    head_dim: int, tile: tuple[int, int]
) -> None:
    found = launch(batch=8, queries=4096, head_dim=head_dim)
    assert (found.block_q, found.block_k, found.split) == (*tile, 1)


@pytest.mark.parametrize(("head_dim", "keys"), [(64, 256), (96, 128), (128, 128), (256, 64)])
def test_few_blocks_split_the_keys_with_tiles_of_64_rows(head_dim: int, keys: int) -> None:
    found = launch(head_dim=head_dim)
    assert (found.block_q, found.block_k) == (64, keys)
    assert found.split > 1
    assert found.packed == 2


def test_enough_blocks_do_not_split() -> None:
    assert launch(batch=27).split == 1  # 27 x 8 KV heads of 264 slots
    assert launch(batch=26).split > 1


def test_only_uneven_causal_tiles_that_fill_the_registers_spill() -> None:
    even = {"batch": 8, "queries": 4096, "keys": 4096, "causal": True}
    uneven = even | {"queries": 4000, "keys": 4000}
    assert launch(**even).spilling == 0
    assert launch(**uneven).spilling > 0
    assert launch(**uneven, head_dim=64).spilling > 0
    assert launch(**uneven, head_dim=96).spilling == 0
    assert launch(**(uneven | {"causal": False})).spilling == 0


def test_a_sweep_launches_what_its_points_launch() -> None:
    sizes = {"heads": 32, "kv_heads": 8, "queries": 1, "head_dim": 128, "causal": False}
    batch, keys = np.array([1.0, 16, 64]), np.array([500.0, 30000, 4096])

    def answer(**drawn: object) -> Result:
        cascade = WORKLOADS["attention"](**drawn, **sizes)
        assert isinstance(cascade, Cascade)
        (call,) = lower(cascade, "flash-attention-2")
        return run(call, device("h200"), {})

    swept = answer(batch=batch, keys=keys)
    for index in range(3):
        single = answer(batch=int(batch[index]), keys=int(keys[index]))
        assert single.tile.split == swept.tile.split[index]
        time_s = np.ravel(swept.folded.time_s)[index]
        assert single.folded.time_s == pytest.approx(time_s)


def test_one_row_of_a_long_context_is_split_by_the_librarys_most() -> None:
    """By hand: of up to 128 splits on 264 slots the best fills 128 / 264; 109 are 85 % of that.

    109 / 128 = 0.8516, 108 / 128 = 0.8438; 16384 steps divide otherwise at each of them.
    """
    assert splits(1, 16384, 264) == 109


def test_splits_on_machines_of_other_sizes_are_those_of_each_alone() -> None:
    slots = np.array([4.0, 38.0, 216.0, 264.0])
    found = splits(1, 200, slots)
    assert list(np.ravel(found)) == [walked(1, 200, int(each)) for each in slots]


def test_a_group_of_any_size_shares_the_keys_of_its_head() -> None:
    """65 query heads to a KV head fill two blocks of rows; each was a head with keys of its own."""
    for group, blocks in ((64, 1), (65, 2), (200, 4)):
        problem = AttentionProblem(2, group, 1, 1, 8192, 128, 128)
        found = resolved(MENU[0], problem, limits(device("h200")))
        assert row_blocks(problem, found) == (group, blocks, 2)
