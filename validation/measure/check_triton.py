"""Checks the Triton kernels on a GPU, then times them beside the libraries, within a minute.

    python -m hwmodel.validation.measure.check_triton [--seconds 55]

First the relative error of every kernel against float64 at ragged sizes, in the formats that tensor
cores take. Then, for three large shapes a family, the median time of every tile of the menu beside
cuBLAS, cuDNN, FlashAttention or torch, with a cold L2. Exit status 1 if an error is too large. What
the clock leaves no time for is said to be skipped. Times are seconds; rates are the library's time
over the kernel's.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from triton.testing import do_bench

from hwmodel.kernels import attention, decode, elementwise, gated, gemm, moe, rmsnorm, softmax
from hwmodel.kernels.operands import dtype_of, processors
from hwmodel.machines.gpu.schedules.triton_tiles import (
    decode_tile,
    gemm_tile,
    gemm_tiles,
    hopper_tile,
    prefill_tile,
    prefill_tiles,
)
from hwmodel.validation.measure.library import only_backend

LIMITS = {"bf16": 1e-2, "fp16": 2e-3, "fp8": 1e-2, "fp32": 1e-5}
"""Rounding of operands and outputs to the format, with room for the sums' order."""
MILLI = 1e-3
Sizes = tuple[int, int, int, int, int, int]
"""Batch, heads, KV heads, queries, keys, head dimension."""
Check = tuple[str, str, Callable[[], tuple[torch.Tensor, torch.Tensor]]]
Contest = tuple[str, Callable[[], Any], dict[str, Callable[[], Any]]]


def normal(*shape: int, dtype: str = "bf16") -> torch.Tensor:
    """Standard normal numbers on the GPU."""
    return torch.randn(*shape, device="cuda", dtype=torch.float32).to(dtype_of(dtype))


def qkv(
    b: int, h: int, g: int, queries: int, keys: int, d: int, *, dtype: str = "bf16"
) -> Any:  # fmt: skip
    """Operands of attention."""
    shapes = ((b, h, queries, d), (b, g, keys, d), (b, g, keys, d))
    return tuple(normal(*shape, dtype=dtype) for shape in shapes)


def gemm_check(dtype: str, m: int, n: int, k: int, split: int) -> Check:
    """A product, by the rule's tile with another split."""

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        a, w = normal(m, k, dtype=dtype), normal(n, k, dtype=dtype)
        tile = gemm_tile(m, n, k, processors=processors(a), element_bytes=a.element_size())
        if split > 1:
            tile = replace(tile, split=split, stages=4, persistent=0, parts=1)
        return gemm.gemm(a, w, tile=tile), gemm.reference(a.double(), w.double())

    return f"gemm {m}x{n}x{k} split {split}", dtype, run


def attention_check(dtype: str, sizes: Sizes, **masks: Any) -> Check:
    """Attention over many queries."""

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        q, k, v = qkv(*sizes, dtype=dtype)
        want = attention.reference(q.double(), k.double(), v.double(), **masks)
        return attention.attention(q, k, v, **masks), want

    return f"attention {sizes} {masks}", dtype, run


def sparse_check() -> Check:
    """Attention under a block mask with unseen rows."""

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        q, k, v = qkv(2, 4, 2, 700, 700, 128)
        tile = prefill_tile(128, 700)
        rows, keys = -(-700 // int(tile.block_q)), -(-700 // int(tile.block_k))
        kept = torch.rand(2, 4, rows, keys, device="cuda") < 0.4
        masks = {"causal": True, "blocks": kept, "block_shape": (tile.block_q, tile.block_k)}
        want = attention.reference(q.double(), k.double(), v.double(), **masks)
        lists = attention.block_lists(kept)
        return attention.attention(q, k, v, causal=True, blocks=lists, tile=tile), want

    return "attention, block mask", "bf16", run


def decode_check(sizes: Sizes, stream: bool) -> Check:
    """Attention over few queries."""

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        q, k, v = qkv(*sizes)
        b, h, g, queries, keys, d = sizes
        tile = decode_tile(h // g * queries, keys, b * g, d, processors=processors(q))
        plan = decode.lean_schedule(q, k, tile) if stream else None
        want = attention.reference(q.double(), k.double(), v.double(), causal=True)
        return decode.decode(q, k, v, tile=tile, stream=plan), want

    return f"decode {sizes} {'stream-K' if stream else 'split-KV'}", "bf16", run


def layer_check() -> tuple[torch.Tensor, torch.Tensor]:
    """Routing, dispatch, experts and combine together."""
    x, logits = normal(300, 256), normal(300, 60, dtype="fp32")
    gate_up, down = normal(60, 192, 256) / 16, normal(60, 256, 96) / 10
    want = moe.reference(x.double(), logits.double(), gate_up.double(), down.double(), 4)
    return moe.expert_layer(x, logits, gate_up, down, 4), want


def row_checks() -> Iterator[Check]:
    """Row kernels at odd sizes."""
    for rows, cols in ((77, 4097), (1000, 128)):
        x, w = normal(rows, cols), normal(cols)
        size = f"{rows}x{cols}"
        yield f"rmsnorm {size}", "bf16", lambda x=x, w=w: (
            rmsnorm.rmsnorm(x, w), rmsnorm.reference(x.double(), w.double()))  # fmt: skip
        for passes in softmax.PASSES:
            yield f"softmax {size} passes {passes}", "bf16", lambda x=x, p=passes: (
                softmax.softmax(x, passes=p), softmax.reference(x.double()))  # fmt: skip
        for operation in elementwise.OPERATIONS:
            y = normal(rows, cols) if operation == "add" else None
            yield f"{operation} {size}", "bf16", lambda x=x, y=y, o=operation: (
                elementwise.elementwise(o, x, y),
                elementwise.reference(o, x.double(), None if y is None else y.double()),
            )  # fmt: skip
    x = normal(501, 2 * 333)
    yield "gated 501x333", "bf16", lambda: (gated.gated(x), gated.reference(x.double()))


def checks() -> Iterator[Check]:
    """Every kernel, the large tiles first."""
    for dtype in ("bf16", "fp8"):
        yield gemm_check(dtype, 700, 1000, 1040, 1)
    yield gemm_check("bf16", 33, 515, 1111, 4)
    yield gemm_check("fp16", 5, 1024, 4096, 8)
    yield attention_check("bf16", (2, 8, 2, 333, 500, 128), causal=True)
    yield attention_check("bf16", (1, 4, 4, 200, 333, 64))
    yield attention_check("fp16", (1, 4, 2, 400, 400, 96), causal=True, window=100)
    yield attention_check("bf16", (1, 2, 1, 300, 300, 256), causal=True)
    yield sparse_check()
    for stream in (False, True):
        yield decode_check((3, 32, 8, 1, 3000, 128), stream)
    yield decode_check((2, 8, 2, 3, 500, 64), False)
    yield "expert layer", "bf16", layer_check
    yield from row_checks()


def check_all(until: float) -> bool:
    """Prints the error of each check; whether all are within their limits."""
    good = True
    for name, dtype, run in checks():
        if time.perf_counter() > until:
            print(f"{name:58} skipped: no time left")
            continue
        try:
            got, want = run()
            error = float((got.double() - want).norm() / want.norm())
            verdict = "ok" if error < LIMITS[dtype] else "WRONG"
        except Exception as failure:  # one kernel that fails must not hide the others
            error, verdict = float("nan"), f"FAILED {str(failure)[:150]!r}"
        good = good and verdict == "ok"
        print(f"{name:58} {dtype:5} {error:9.1e} {verdict}", flush=True)
    return good


def gemm_contest(m: int, n: int, k: int) -> Contest:
    """A large product: tiles of the menu and the rule beside cuBLAS."""
    a, w = normal(m, k), normal(n, k) * 0.02
    ours: dict[str, Callable[[], Any]] = {
        f"{t.block_m}x{t.block_n} w{t.warps} s{t.stages}": partial(gemm.gemm, a, w, tile=t)
        for t in gemm_tiles(2)[:5]
    }
    return f"gemm {m}x{n}x{k}", lambda: F.linear(a, w), ours | {"rule": lambda: gemm.gemm(a, w)}


def attention_contest(b: int, h: int, g: int, s: int, d: int, causal: bool) -> Contest:
    """A long prompt: every tile beside cuDNN."""
    q, k, v = qkv(b, h, g, s, s, d)
    only_backend("cudnn")
    ours: dict[str, Callable[[], Any]] = {
        f"{t.block_q}x{t.block_k} w{t.warps} s{t.stages}": partial(
            attention.attention, q, k, v, causal=causal, tile=t
        )
        for t in prefill_tiles(d)
    }
    ours["persistent"] = partial(attention.attention, q, k, v, causal=causal, tile=hopper_tile(d))
    cudnn = F.scaled_dot_product_attention
    name = f"attention b{b} h{h}/{g} s{s} d{d}{' causal' if causal else ''}"
    return name, lambda: cudnn(q, k, v, is_causal=causal, enable_gqa=h != g), ours


def decode_contest(b: int, h: int, g: int, keys: int) -> Contest:
    """A long cache: split-KV and stream-K beside FlashAttention."""
    q, k, v = qkv(b, h, g, 1, keys, 128)
    only_backend("flash-attention-2")
    tile = decode_tile(h // g, keys, b * g, 128, processors=processors(q))
    plan = decode.lean_schedule(q, k, tile)
    ours: dict[str, Callable[[], Any]] = {
        f"split {tile.split}": lambda: decode.decode(q, k, v, tile=tile),
        f"stream-K {plan.grid}": lambda: decode.decode(q, k, v, tile=tile, stream=plan),
    }
    flash = F.scaled_dot_product_attention
    return f"decode b{b} h{h}/{g} keys {keys}", lambda: flash(q, k, v, enable_gqa=True), ours


def moe_contest(tokens: int, experts: int, top_k: int, n: int, k: int) -> Contest:
    """A grouped product beside torch's."""
    rows = tokens * top_k
    x, w = normal(rows, k), normal(experts, n, k) * 0.02
    ends = (torch.arange(1, experts + 1, device="cuda") * rows // experts).int()
    name = f"grouped {rows} rows, {experts} x {n}x{k}"
    torch_grouped = getattr(torch, "_grouped_mm")  # noqa: B009 - private in torch's stubs
    ours: dict[str, Callable[[], Any]] = {"rule": lambda: moe.grouped(x, w, ends)}
    return name, lambda: torch_grouped(x, w.transpose(-2, -1), offs=ends), ours


def row_contest(family: str) -> Contest:
    """A large matrix beside torch."""
    x, y = normal(32768, 8192), normal(32768, 8192)
    library: Callable[[], Any] = lambda: torch.add(x, y)  # noqa: E731 - one of three
    ours: dict[str, Callable[[], Any]] = {"stretch": lambda: elementwise.elementwise("add", x, y)}
    if family == "softmax":
        library = partial(torch.softmax, x, -1)
        ours = {f"passes {p}": partial(softmax.softmax, x, passes=p) for p in softmax.PASSES}
    if family == "rmsnorm":
        w = normal(8192)
        library = partial(F.rms_norm, x, (8192,), w)
        ours = {"held": lambda: rmsnorm.rmsnorm(x, w)}
    return f"{family} 32768x8192", library, ours


CONTESTS: tuple[Callable[[], Contest], ...] = (
    partial(gemm_contest, 8192, 8192, 8192),
    partial(attention_contest, 1, 32, 8, 8192, 128, True),
    partial(decode_contest, 64, 32, 8, 8192),
    partial(moe_contest, 8192, 8, 2, 28672, 4096),
    partial(gemm_contest, 2048, 28672, 4096),
    partial(attention_contest, 4, 32, 8, 4096, 128, False),
    partial(decode_contest, 1, 64, 8, 65536),
    partial(row_contest, "softmax"),
    partial(row_contest, "rmsnorm"),
    partial(row_contest, "add"),
    partial(moe_contest, 8192, 128, 8, 1536, 2048),
    partial(attention_contest, 4, 16, 16, 4096, 64, True),
    partial(gemm_contest, 512, 4096, 14336),
    partial(decode_contest, 16, 32, 8, 4000),
    partial(moe_contest, 64, 8, 2, 28672, 4096),
)
"""The most telling first: the clock may cut the list short."""


def compete(until: float) -> None:
    """Prints each contest: the library's time, each of ours, and the ratio."""
    print(f"\n{'case':42} {'variant':18} {'time_s':>10} {'library/ours':>13}")
    for index, contest in enumerate(CONTESTS):
        if time.perf_counter() > until:
            print(f"no time left: {len(CONTESTS) - index} of {len(CONTESTS)} contests skipped")
            return
        name, library, ours = contest()
        base_s = time_or_say(name, "library", library, None)
        for variant, call in ours.items():
            time_or_say(name, variant, call, base_s)


def time_or_say(
    name: str, variant: str, call: Callable[[], Any], base_s: float | None
) -> float | None:
    """Median time of a call with a cold L2, printed; None where it cannot run."""
    try:
        median: Any = do_bench(call, warmup=5, rep=30, return_mode="median")
        time_s = median * MILLI
    except Exception as failure:  # a library may lack a kernel for a shape
        print(f"{name:42} {variant:18} {'-':>10}  {str(failure)[:90]!r}", flush=True)
        return None
    ratio = f"{base_s / time_s:13.3f}" if base_s else ""
    print(f"{name:42} {variant:18} {time_s:10.3e} {ratio}", flush=True)
    return time_s


def main() -> None:
    """Parses the command line, checks, then times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=55.0)
    options = parser.parse_args()
    begin = time.perf_counter()
    torch.manual_seed(int(time.time()))
    good = check_all(begin + options.seconds * 0.5)
    compete(begin + options.seconds)
    print(f"{time.perf_counter() - begin:.1f} s; {'all correct' if good else 'ERRORS above'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
