"""This package's own Triton kernels as cases to measure, each with the tile that it launches with.

A case names its tile in columns `tile_...`, one for each field of the launch record, so that the
model predicts the launch that was measured. Half of the tiles are the rule's, the others are drawn
from the menu. Shapes come from the same distributions as the library's (`shapes.py`). Conventions:

- gemm, attention, row kernels: as the library's, in the same layouts; fp8 gives bf16.
- decode: split-KV and its combination, or with `stream_k` LeanAttention's shares.
- moe: grouped gate-and-up product, SiLU and multiply in one kernel, grouped down product.
- softmax: `passes` 1 holds the row, 2 and 3 walk it in chunks.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np

from hwmodel.kernels import attention, decode, elementwise, gated, gemm, moe, rmsnorm, softmax
from hwmodel.machines.gpu.schedules.attention import AttentionTile
from hwmodel.machines.gpu.schedules.gemm import GemmTile
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import (
    chunk_tiles,
    decode_candidates,
    decode_tile,
    decode_tiles,
    gemm_candidates,
    gemm_menu,
    gemm_tile,
    gemm_tiles,
    grouped_tile,
    hopper_tile,
    prefill_tile,
    prefill_tiles,
    row_tile,
)
from hwmodel.validation.measure.arena import Carver
from hwmodel.validation.measure.fused_calls import CALLS as FUSED
from hwmodel.validation.measure.library import expert_rows
from hwmodel.validation.measure.shapes import (
    ITEM_BYTES,
    Case,
    draw_decode,
    draw_gemm,
    draw_moe,
    draw_prefill,
    draw_rows,
    draws,
)
from hwmodel.validation.measure.tiles import tile_of, with_tile

KERNEL = "triton"
PROCESSORS = 132
"""SMs of an H100 or H200 SXM, for which the rule picks tiles before a device is seen."""
ROW_FAMILIES = ("softmax", "rmsnorm", "gelu", "add", "copy")
MOST_HELD_COLS = 65536
Call = Callable[[], Any]


def pick(rng: np.random.Generator, rule: Any, menu: Sequence[Any]) -> Any:
    """The rule's tile, or as often one of the menu."""
    return rule if rng.random() < 0.5 else menu[int(rng.integers(len(menu)))]


def draw_gemm_case(rng: np.random.Generator) -> Case:
    """A linear layer in bf16, fp16 or fp8."""
    case = draw_gemm(rng, str(rng.choice(["bf16", "fp16", "fp8"], p=[0.6, 0.15, 0.25])), KERNEL)
    s, element = case.shape, ITEM_BYTES[case.dtype]
    rule = gemm_tile(s["M"], s["N"], s["K"], processors=PROCESSORS, element_bytes=element)
    described = s["K"] * element % 16 == 0 and s["N"] % 8 == 0
    menu = [tile for tile in gemm_menu(element) if described or not tile.persistent]
    return with_tile(case, pick(rng, rule, menu))


def draw_prefill_case(rng: np.random.Generator) -> Case:
    """Attention over many queries."""
    case = draw_prefill(rng, KERNEL)
    d = case.shape["head_dim"]
    rule = prefill_tile(d, case.shape["queries"], specialised=True)
    return with_tile(case, pick(rng, rule, (hopper_tile(d), *prefill_tiles(d))))


def draw_decode_case(rng: np.random.Generator) -> Case:
    """Attention of one query for each sequence; a third by stream-K."""
    case = draw_decode(rng, KERNEL)
    s = case.shape
    rows, outputs = s["heads"] // s["kv_heads"], s["batch"] * s["kv_heads"]
    rule = decode_tile(rows, s["keys"], outputs, s["head_dim"], processors=PROCESSORS)
    stream = bool(rng.random() < 1 / 3)
    tile = rule if stream else pick(rng, rule, decode_tiles(s["head_dim"]))
    return with_tile(case, replace(tile, split=1) if stream else tile, stream_k=stream)


def draw_moe_case(rng: np.random.Generator) -> Case:
    """The expert layer on permuted rows."""
    case = replace(draw_moe(rng), kernel=KERNEL)
    s = case.shape
    each = -(-s["tokens"] * s["top_k"] // s["experts"])
    wide = 2 * s["intermediate"] * s["experts"]
    rule = grouped_tile(each, wide, s["hidden"], processors=PROCESSORS, element_bytes=2)
    return with_tile(case, pick(rng, rule, gemm_tiles(2)))


def draw_row_case(rng: np.random.Generator) -> Case:
    """A row kernel."""
    case = replace(draw_rows(rng, str(rng.choice(ROW_FAMILIES))), kernel=KERNEL)
    cols = case.shape["cols"]
    chunk = chunk_tiles()[int(rng.integers(len(chunk_tiles())))]
    if case.family not in ("softmax", "rmsnorm"):
        return with_tile(case, chunk)
    passes = int(rng.integers(1, 4)) if case.family == "softmax" else 1
    held = passes == 1
    if held and cols > MOST_HELD_COLS:
        case = replace(case, shape={**case.shape, "cols": MOST_HELD_COLS})
    more = {"passes": passes} if case.family == "softmax" else {}
    return with_tile(case, row_tile(case.shape["cols"]) if held else chunk, **more)


DRAWS: dict[str, Callable[[np.random.Generator], Case]] = {
    "triton-gemm": draw_gemm_case,
    "triton-attention": draw_prefill_case,
    "triton-decode": draw_decode_case,
    "triton-moe": draw_moe_case,
    "triton-rows": draw_row_case,
}


MENU = "triton-menu"
MENU_ROUND = ("triton-gemm", "triton-gemm", "triton-attention", "triton-gemm", "triton-decode")
"""Whose shapes are measured with their whole menus, in turn."""


def whole_menus(seed: int) -> Iterator[Case]:
    """Every tile that is worth trying on one shape, then on the next.

    Shapes are such that few kernels need compiling: rows on 16 bytes, one head dimension.
    """
    shapes = {stage: draws(seed, MENU + stage, DRAWS[stage]) for stage in set(MENU_ROUND)}
    for stage in cycle(MENU_ROUND):
        case = next(case for case in shapes[stage] if plain(case))
        for tile in candidates(case):
            yield with_tile(case, tile)


def plain(case: Case) -> bool:
    """Whether a shape needs no kernel of its own."""
    s = case.shape
    if case.family == "gemm":
        return s["N"] % 64 == 0 and s["K"] % 64 == 0 and case.dtype != "fp16"
    return s["head_dim"] == 128 and not s.get("stream_k")


def candidates(case: Case) -> Sequence[Any]:
    """The tiles of the case's menu that are worth trying."""
    s = case.shape
    if case.family == "gemm":
        element = ITEM_BYTES[case.dtype]
        return gemm_candidates(s["M"], s["N"], s["K"], processors=PROCESSORS, element_bytes=element)
    if s["queries"] > 1:
        return (hopper_tile(s["head_dim"]), *prefill_tiles(s["head_dim"]))
    return decode_candidates(s["keys"], s["head_dim"])


def triton_streams(seed: int) -> dict[str, Iterator[Case]]:
    """Endless streams of feasible cases, by the names of the stages."""
    streams = {stage: draws(seed, stage, draw) for stage, draw in DRAWS.items()}
    return streams | {MENU: whole_menus(seed)}


def gemm_call(case: Case, carver: Carver) -> Call:
    """A linear layer."""
    s = case.shape
    a = carver.take(s["M"], s["K"], dtype=case.dtype)
    w = carver.take(s["N"], s["K"], dtype=case.dtype, weight=True)
    tile = tile_of(case, GemmTile)
    return lambda: gemm.gemm(a, w, tile=tile)


def attention_call(case: Case, carver: Carver) -> Call:
    """Attention: the prefill kernel, or the decode kernel for a single query."""
    s = case.shape
    q = carver.take(s["batch"], s["heads"], s["queries"], s["head_dim"], dtype=case.dtype)
    k = carver.take(s["batch"], s["kv_heads"], s["keys"], s["head_dim"], dtype=case.dtype)
    v = carver.take(s["batch"], s["kv_heads"], s["keys"], s["head_dim"], dtype=case.dtype)
    tile = tile_of(case, AttentionTile)
    if s["queries"] > 1:
        return lambda: attention.attention(q, k, v, causal=bool(s["causal"]), tile=tile)
    stream = decode.lean_schedule(q, k, tile) if s["stream_k"] else None
    return lambda: decode.decode(q, k, v, tile=tile, stream=stream)


def moe_call(case: Case, carver: Carver) -> Call:
    """The expert layer on permuted rows."""
    s = case.shape
    rows, hidden, inner = s["tokens"] * s["top_k"], s["hidden"], s["intermediate"]
    x = carver.take(rows, hidden, dtype=case.dtype)
    gate_up = carver.take(s["experts"], 2 * inner, hidden, dtype=case.dtype, weight=True)
    down = carver.take(s["experts"], hidden, inner, dtype=case.dtype, weight=True)
    each = expert_rows(case, str(x.device))
    ends = each.cumsum(0).int()
    carver.note("experts_touched", float((each > 0).sum()))
    carver.note("largest_expert_rows", float(each.max()))
    tile = tile_of(case, GemmTile)

    def call() -> Any:
        h = gated.gated(moe.grouped(x, gate_up, ends, tile=tile))
        return moe.grouped(h, down, ends, tile=tile)

    return call


def row_call(case: Case, carver: Carver) -> Call:
    """Softmax, RMS norm and elementwise operations."""
    s = case.shape
    x = carver.take(s["rows"], s["cols"], dtype=case.dtype)
    tile = tile_of(case, RowTile)
    if case.family == "softmax":
        return lambda: softmax.softmax(x, passes=s["passes"], tile=tile)
    if case.family == "rmsnorm":
        w = carver.take(s["cols"], dtype=case.dtype)
        return lambda: rmsnorm.rmsnorm(x, w, tile=tile)
    y = carver.take(s["rows"], s["cols"], dtype=case.dtype) if case.family == "add" else None
    return lambda: elementwise.elementwise(case.family, x, y, tile=tile)


CALLS: dict[str, Callable[[Case, Carver], Call]] = {
    "gemm": gemm_call,
    "attention": attention_call,
    "moe": moe_call,
    **dict.fromkeys(ROW_FAMILIES, row_call),
    **FUSED,
}


def triton_builder(case: Case) -> Callable[[Carver], Call]:
    """What the timer wants: inputs in, call out."""
    return lambda carver: CALLS[case.family](case, carver)
