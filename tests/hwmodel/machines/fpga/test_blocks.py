"""Blocks of on-chip memory: forms of a block RAM filled exactly, and one bit more."""

import pytest

from hwmodel.machines.fpga.blocks import block_rams, ultra_rams

FORMS = [(72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192)]
"""36 Kbit of a RAMB36E2, with parity bits down to 9 bits of width (AMD UG573)."""


@pytest.mark.parametrize(("width", "depth"), FORMS)
def test_a_form_is_one_block_and_a_word_more_is_two(width: int, depth: int) -> None:
    assert block_rams(width, depth) == 1
    assert block_rams(width, depth, ping_pong=True) == 2
    assert block_rams(width, depth + 1) == 2
    assert block_rams(72, 513) == 2
    assert block_rams(72, 512, ping_pong=True) == 2


def test_a_wide_word_takes_blocks_side_by_side() -> None:
    assert block_rams(256, 512) == 4
    assert ultra_rams(256, 4096) == 4
    assert ultra_rams(72, 4097, ping_pong=True) == 4
