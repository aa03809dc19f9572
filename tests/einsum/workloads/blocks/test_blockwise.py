"""What runs once for each block of tokens, and what stays within one, by hand."""

import pytest

from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Step, caches, seen
from hwmodel.einsum.workloads.blocks.blockwise import Coarse, Local
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.precision import Precision

HEADS = Attention(64, 4, 4, 16)
SHARE = Share(Precision("bf16", "bf16", "bf16", "bf16"))


def of(stages: Stages, role: str) -> float:
    """Multiplications of the stages that do this."""
    done = (
        s.times * cascade_counts(s.cascade)["multiply", "bf16"] for s in stages if s.role == role
    )
    return float(sum(done))


@pytest.mark.parametrize("length", [2, 4, 8])
def test_work_keys_and_reads_fall_by_the_length_once_once_and_twice(length: int) -> None:
    step = Step(3, 1, 1024, True)
    plain, coarse = HEADS.stages(step, SHARE), Coarse(HEADS, length).stages(step, SHARE)
    assert of(coarse, "attention.qkv") == of(plain, "attention.qkv") / length
    assert of(coarse, "attention.scores") == of(plain, "attention.scores") / length**2
    (cache,) = caches(Coarse(HEADS, length))
    assert seen(1024, cache.window) == 1024 / length


def test_a_prompt_is_as_many_positions_as_blocks() -> None:
    stages = Coarse(HEADS, 4).stages(Step(3, 1000, 1000, False), SHARE)
    plain = HEADS.stages(Step(3, 250, 250, False), SHARE)
    assert stages == plain


def test_tokens_of_a_block_are_made_from_a_prefix_one_after_the_other() -> None:
    """Prefix 2, four tokens: one run of two positions; then one with 3, 4 and 5 keys each."""
    step = Step(1, 1, 4000, True)
    stages = Local(HEADS, 4, 2).stages(step, SHARE)
    pairs = 4 * 2 * 16  # heads, two products, elements
    assert of(stages, "attention.scores") == pairs * (3 + (3 + 4 + 5)) / 4
    assert of(stages, "attention.qkv") == 3 * 64 * 64 * (2 + 3) / 4


def test_a_prompt_costs_the_local_decoder_one_prefix_of_its_last_block() -> None:
    long, short = (Local(HEADS, 4, 2).stages(Step(5, n, n, False), SHARE) for n in (4096, 8))
    assert long == short
    assert of(long, "attention.qkv") == 5 * 2 * 3 * 64 * 64


def test_what_a_local_decoder_keeps_does_not_grow() -> None:
    """Two of the prefix, three tokens: the last is not read."""
    (cache,) = caches(Local(HEADS, 4, 2))
    assert [seen(context, cache.window) for context in (100, 100_000)] == [5, 5]
