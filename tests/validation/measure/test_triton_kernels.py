"""Cases of the Triton kernels: tiles survive as columns, and calls compute what they say."""

# pyright: basic, reportMissingImports=false

import os
from itertools import islice

import pytest

pytest.importorskip("torch", reason="needs torch and triton")
pytest.importorskip("triton", reason="needs torch and triton")

import torch
import torch.nn.functional as F

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before the kernels are defined

from hwmodel.machines.gpu.schedules.attention import AttentionTile
from hwmodel.machines.gpu.schedules.gemm import GemmTile
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.validation.measure import triton_kernels as cases
from hwmodel.validation.measure.arena import POOL_BYTES, Arena, Carver
from hwmodel.validation.measure.shapes import Case, feasible

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Keeping(Carver):
    """A carver that keeps what it hands out."""

    def __init__(self):
        small = {dtype: 1 << 20 for dtype in POOL_BYTES}
        super().__init__(Arena(device=DEVICE, capacity_bytes=small))
        self.taken = []

    def take(self, *shape, dtype="bf16", weight=False):
        self.taken.append(super().take(*shape, dtype=dtype, weight=weight))
        return self.taken[-1]


def run(case):
    """The output of a case, and the operands that it was given."""
    carver = Keeping()
    return cases.triton_builder(case)(carver)(), carver.taken


def far(got, want):
    return float((got.double() - want).norm() / want.norm())


@pytest.mark.parametrize("stage", cases.DRAWS)
def test_a_draw_is_feasible_repeatable_and_names_its_whole_tile(stage):
    first, again = (list(islice(cases.triton_streams(5)[stage], 40)) for _ in range(2))
    assert first == again
    record = {"triton-gemm": GemmTile, "triton-moe": GemmTile, "triton-rows": RowTile}
    for case in first:
        assert case.kernel == "triton"
        assert feasible(case)
        tile = cases.tile_of(case, record.get(stage, AttentionTile))
        assert cases.with_tile(case, tile) == case
        assert not (case.shape.get("stream_k") and tile.split > 1)


def test_gemm_call_is_a_linear_layer():
    case = Case("gemm", "triton", "fp16", {"M": 20, "N": 24, "K": 40})
    got, (a, w) = run(cases.with_tile(case, GemmTile(16, 16, 16, 2, 4, split=2)))
    assert far(got, F.linear(a.double(), w.double())) < 2e-3


@pytest.mark.parametrize(("queries", "stream"), [(20, False), (1, False), (1, True)])
def test_attention_call_is_attention_of_prefill_or_decode(queries, stream):
    shape = {"batch": 1, "heads": 4, "kv_heads": 2, "queries": queries, "keys": 40}
    case = Case("attention", "triton", "fp16", shape | {"head_dim": 16, "causal": queries > 1})
    tile = AttentionTile(16, 16, stages=2, warps=4)
    got, (q, k, v) = run(cases.with_tile(case, tile, stream_k=stream))
    seen = torch.ones(queries, 40, dtype=torch.bool, device=DEVICE).tril(40 - queries)
    k, v = (t.double().repeat_interleave(2, 1) for t in (k, v))
    score = (q.double() @ k.mT / 4).masked_fill(~seen, float("-inf"))
    assert far(got, torch.softmax(score, -1) @ v) < 2e-3


def test_moe_call_is_the_gated_layer_of_permuted_rows():
    shape = {"tokens": 12, "experts": 3, "top_k": 1, "hidden": 16, "intermediate": 24}
    case = Case("moe", "triton", "fp16", shape | {"routing": "balanced"})
    got, (x, gate_up, down) = run(cases.with_tile(case, GemmTile(16, 16, 16, 2, 4)))
    rows = x.double().view(3, 4, 16) @ gate_up.double().mT
    hidden = F.silu(rows[..., :24]) * rows[..., 24:]
    assert far(got, (hidden @ down.double().mT).reshape(12, 16)) < 3e-3


@pytest.mark.parametrize("family", cases.ROW_FAMILIES)
def test_row_call_is_the_operation_of_its_family(family):
    case = Case(family, "triton", "fp32", {"rows": 6, "cols": 50})
    more = {"passes": 2} if family == "softmax" else {}
    got, taken = run(cases.with_tile(case, RowTile(64, 2), **more))
    x = taken[0].double()
    want = {
        "softmax": lambda: torch.softmax(x, -1),
        "rmsnorm": lambda: F.rms_norm(x, (50,), taken[1].double(), 1e-6),
        "gelu": lambda: F.gelu(x),
        "add": lambda: x + taken[1].double(),
        "copy": lambda: x,
    }[family]()
    assert far(got, want) < 1e-6


def test_a_shape_of_the_menu_stage_has_every_tile_that_is_worth_trying():
    drawn = list(islice(cases.triton_streams(5)[cases.MENU], 300))
    menus = {}
    for case in drawn:
        sizes = {k: v for k, v in case.shape.items() if not k.startswith("tile_")}
        menus.setdefault((case.family, case.dtype, *sizes.items()), []).append(case)
    for menu in list(menus.values())[:-1]:
        assert len({tuple(case.shape.items()) for case in menu}) == len(menu)
        assert len(menu) == len(cases.candidates(menu[0])) >= 3
        assert all(feasible(case) for case in menu)
    assert {case.family for case in drawn} == {"gemm", "attention"}
