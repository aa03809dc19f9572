"""Attention by warps of two kinds: values, and barriers that all end, on the CPU."""

# pyright: basic, reportMissingImports=false, reportCallIssue=false

import math

import pytest

pytest.importorskip("torch", reason="needs torch and triton")
pytest.importorskip("triton.experimental.gluon", reason="needs Gluon")

import torch

from hwmodel.kernels import attention, hopper_attention
from hwmodel.machines.gpu.schedules.triton_tiles import prefill_tile
from tests.kernels import emulated_gluon

CASES = {
    "causal, shared keys, no side whole": (1, 4, 2, 333, 460, 64, True),
    "all keys, a dimension padded": (2, 2, 2, 130, 333, 96, False),
    "a row of queries": (1, 2, 1, 1, 130, 64, True),
    "square": (1, 3, 3, 256, 256, 128, True),
    "wide heads": (1, 2, 1, 150, 150, 256, True),
}


def run(sizes, programs: int):
    """(found, wanted) of a case, by so many persistent blocks one after the other."""
    batch, heads, kv_heads, queries, keys, d, causal = sizes
    torch.manual_seed(0)
    q = torch.randn(batch, heads, queries, d).bfloat16()
    k, v = (torch.randn(batch, kv_heads, keys, d).bfloat16() for _ in "kv")
    out = torch.full_like(q, float("nan"))
    tile = prefill_tile(d, 4096, specialised=True)
    wide, rows = hopper_attention.power_of_two(d), int(tile.block_q) // 2

    def flat(matrix, rows: int):
        return emulated_gluon.Descriptor(matrix.view(-1, *matrix.shape[2:]), rows, wide)

    row_blocks = -(-queries // int(tile.block_q))
    section = batch * heads if causal else heads // kv_heads
    sizes = (heads, kv_heads, batch * heads, queries, keys, row_blocks)
    with emulated_gluon.emulated(hopper_attention, programs):
        for program in range(programs):
            emulated_gluon.here.program = program
            hopper_attention.hopper_kernel(
                *(flat(q, rows), flat(k, int(tile.block_k)), flat(v, int(tile.block_k))),
                flat(out, rows),
                *map(torch.tensor, (*sizes, row_blocks * batch * heads, section)),
                math.log2(math.e) / math.sqrt(d),
                *(torch.bfloat16, 2, rows, int(tile.block_k), wide, int(tile.stages)),
                *(causal, wide < 256, 0, 0),
            )
    return out.double(), attention.reference(q.double(), k.double(), v.double(), causal=causal)


@pytest.mark.parametrize("case", CASES)
def test_rows_are_weighted_means_of_values(case: str) -> None:
    found, wanted = run(CASES[case], 3)
    assert (found - wanted).abs().max() < 0.01


def test_a_barrier_that_nobody_ends_is_found(monkeypatch) -> None:
    """As are copies that never land: the emulation must not pass what would hang."""
    monkeypatch.setattr(emulated_gluon, "PATIENCE_S", 0.05)
    monkeypatch.setattr(emulated_gluon.Descriptor, "load", lambda *_: None)
    with pytest.raises(TimeoutError):
        run(CASES["square"], 1)


@pytest.mark.parametrize(
    ("kv_heads", "head_bytes", "section"), [(8, 2**23, 8), (276, 2**21, 31), (276, 2**17, 138)]
)
def test_sections_of_heads_are_what_the_dram_or_the_l2_serves(
    kv_heads: int, head_bytes: int, section: int
) -> None:
    """Up to 33 heads for 132 blocks, or 24 MiB, in sections of nearly one size."""
    assert hopper_attention.section_of(kv_heads, head_bytes, 132) == section
