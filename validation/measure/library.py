"""The library kernels that users run, each built from a case and fresh inputs.

Conventions (what a measured number means):

- gemm: `F.linear(A[M, K], W[N, K])`, output in the input dtype; tf32 is fp32 tensors with TF32
  allowed. fp8 is `torch._scaled_mm`, e4m3 inputs, per-tensor scales, bf16 output; kernel
  `cublas` accumulates as torch does by default, `cublas-fast-accum` with `use_fast_accum`;
  `cublas-row-scales` and `cublas-row-scales-fast-accum` are the same with a scale for each row of
  either operand, `[M, 1]` and `[1, N]`.
- attention: Q `[batch, heads, queries, head_dim]`, K and V with kv_heads, contiguous. Causal: query
  i sees keys j <= i + keys - queries. SDPA's own causal flag aligns to the first key, so for
  queries < keys the flash operator behind it is called, which aligns to the last.
- attention_backward: the gradients of Q, K and V from that of O by autograd, the same backends; the
  forward pass and what it saves (O and the logarithms of its sums) stand before. Masks are causal
  over as many queries as keys. What torch adds for grouped heads (a sum over each group) counts.
- moe: rows already permuted by expert; grouped gate-and-up product, SiLU, multiply, grouped down
  product. `balanced` spreads the rows evenly; `uniform` draws top_k distinct experts for a token.
  In fp8 (`torch._scaled_grouped_mm`, a scale for each row of the activations and each output
  channel) the rows come in e4m3, each product answers bf16, and the product of gate and up is
  converted to e4m3 by a kernel of its own, with scales known before.
- row kernels on `[rows, cols]`: softmax, rmsnorm, layernorm, gelu (erf), add, copy.
- what our fused kernels replace: see `fused_calls`.
- reduce: `torch.sum` or `torch.amax`, `reduced` numbers to each of `outputs`, output in the input
  dtype; `axis` last is `[outputs, reduced]`, first `[reduced, outputs]`, all a flat tensor.
- convolutions, pooling, scatters, scans, sorts, losses: `structure_calls.py`.
"""

# pyright: basic, reportMissingImports=false

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from hwmodel.quantity.errors import InputError
from hwmodel.validation.measure.arena import Carver
from hwmodel.validation.measure.edges import ROW_SCALES
from hwmodel.validation.measure.fused_calls import IN_TORCH
from hwmodel.validation.measure.shapes import Case
from hwmodel.validation.measure.structure_calls import BUILDERS as STRUCTURES

Call = Callable[[], Any]


def gemm(case: Case, carver: Carver) -> Call:
    """A linear layer, or the scaled fp8 product."""
    shape = case.shape
    a = carver.take(shape["M"], shape["K"], dtype=case.dtype)
    w = carver.take(shape["N"], shape["K"], dtype=case.dtype, weight=True)
    if case.dtype == "fp8":
        of_rows = case.kernel in ROW_SCALES
        scale_a = torch.ones((shape["M"], 1) if of_rows else (), device=a.device)
        scale_b = torch.ones((1, shape["N"]) if of_rows else (), device=a.device)
        scales = {"scale_a": scale_a, "scale_b": scale_b}
        fast = case.kernel.endswith("fast-accum")
        return lambda: torch._scaled_mm(
            a, w.t(), **scales, out_dtype=torch.bfloat16, use_fast_accum=fast
        )

    def call() -> torch.Tensor:
        torch.set_float32_matmul_precision("high" if case.dtype == "tf32" else "highest")
        return F.linear(a, w)

    return call


def attention(case: Case, carver: Carver) -> Call:
    """SDPA by the flash or the cuDNN backend."""
    s = case.shape
    q = carver.take(s["batch"], s["heads"], s["queries"], s["head_dim"], dtype=case.dtype)
    k = carver.take(s["batch"], s["kv_heads"], s["keys"], s["head_dim"], dtype=case.dtype)
    v = carver.take(s["batch"], s["kv_heads"], s["keys"], s["head_dim"], dtype=case.dtype)
    grouped, causal = s["heads"] != s["kv_heads"], bool(s["causal"]) and s["queries"] > 1
    only_backend(case.kernel)
    if causal and s["queries"] < s["keys"]:
        if case.kernel != "flash-attention-2":
            raise InputError(
                f"{case.kernel}: SDPA offers no causal mask aligned to the last key; use "
                "flash-attention-2, or queries equal to keys"
            )
        flash = torch.ops.aten._scaled_dot_product_flash_attention
        return lambda: flash(q, k, v, 0.0, True, False)[0]
    return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=grouped)


def attention_backward(case: Case, carver: Carver) -> Call:
    """The gradients of Q, K and V from that of O; the forward pass is run once, before."""
    s = case.shape
    q, k, v = (
        carver.take(s["batch"], heads, s["queries"], s["head_dim"], dtype=case.dtype)
        .detach()
        .requires_grad_()
        for heads in (s["heads"], s["kv_heads"], s["kv_heads"])
    )
    gradient = carver.take(*q.shape, dtype=case.dtype)
    only_backend(case.kernel)
    out = F.scaled_dot_product_attention(
        q, k, v, is_causal=bool(s["causal"]), enable_gqa=s["heads"] != s["kv_heads"]
    )
    return lambda: torch.autograd.grad(out, (q, k, v), gradient, retain_graph=True)


def only_backend(kernel: str) -> None:
    """Leaves SDPA one backend to choose."""
    torch.backends.cuda.enable_math_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_flash_sdp(kernel == "flash-attention-2")
    torch.backends.cuda.enable_cudnn_sdp(kernel == "cudnn")


def expert_rows(case: Case, device: str) -> torch.Tensor:
    """Rows of each expert, int64, summing to tokens * top_k."""
    s = case.shape
    tokens, experts, top_k = s["tokens"], s["experts"], s["top_k"]
    if s["routing"] == "balanced":
        each, extra = divmod(tokens * top_k, experts)
        rows = torch.full((experts,), each, dtype=torch.int64, device=device)
        rows[:extra] += 1
        return rows
    chosen = torch.rand(tokens, experts, device=device).topk(top_k, dim=-1).indices
    return torch.bincount(chosen.flatten(), minlength=experts)


def moe(case: Case, carver: Carver) -> Call:
    """The expert layer on permuted rows."""
    s = case.shape
    rows, hidden, inner = s["tokens"] * s["top_k"], s["hidden"], s["intermediate"]
    x = carver.take(rows, hidden, dtype=case.dtype)
    gate_up = carver.take(s["experts"], 2 * inner, hidden, dtype=case.dtype, weight=True)
    down = carver.take(s["experts"], hidden, inner, dtype=case.dtype, weight=True)
    each = expert_rows(case, str(x.device))
    ends = torch.cumsum(each, 0).to(torch.int32)
    carver.note("experts_touched", float((each > 0).sum()))
    carver.note("largest_expert_rows", float(each.max()))

    if case.dtype == "fp8":
        return fp8_experts(x, gate_up, down, ends)

    def call() -> torch.Tensor:
        h = torch._grouped_mm(x, gate_up.transpose(-2, -1), offs=ends)
        h = F.silu(h[:, :inner]) * h[:, inner:]
        return torch._grouped_mm(h, down.transpose(-2, -1), offs=ends)

    return call


def fp8_experts(
    x: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor, ends: torch.Tensor
) -> Call:
    """The expert layer in e4m3; scales of weights keep every product near one."""
    inner = down.shape[-1]
    row_scales = torch.ones(x.shape[0], device=x.device)
    first, second = (
        torch.full(w.shape[:2], w.shape[-1] ** -0.5, device=x.device) for w in (gate_up, down)
    )

    def product(a: torch.Tensor, w: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        w = w.transpose(-2, -1)
        return torch._scaled_grouped_mm(
            a, w, row_scales, scales, offs=ends, out_dtype=torch.bfloat16, use_fast_accum=True
        )

    def call() -> torch.Tensor:
        h = product(x, gate_up, first)
        h = F.silu(h[:, :inner]) * h[:, inner:]
        return product(h.to(torch.float8_e4m3fn), down, second)

    return call


def reduce(case: Case, carver: Carver) -> Call:
    """A sum or a maximum to few outputs."""
    s = case.shape
    outputs, reduced = s["outputs"], s["reduced"]
    sizes = {"all": (reduced,), "last": (outputs, reduced), "first": (reduced, outputs)}[s["axis"]]
    x = carver.take(*sizes, dtype=case.dtype)
    operation = torch.sum if s["op"] == "sum" else torch.amax
    axis = 1 if s["axis"] == "last" else 0
    return lambda: operation(x, axis)


def row_kernel(case: Case, carver: Carver) -> Call:
    """Softmax, norms and elementwise operations over the last dimension."""
    s = case.shape
    cols = s["cols"]
    x = carver.take(s["rows"], cols, dtype=case.dtype)
    if case.family == "softmax":
        return lambda: torch.softmax(x, -1)
    if case.family == "rmsnorm":
        w = carver.take(cols, dtype=case.dtype)
        return lambda: F.rms_norm(x, (cols,), w)
    if case.family == "layernorm":
        w, b = carver.take(cols, dtype=case.dtype), carver.take(cols, dtype=case.dtype)
        return lambda: F.layer_norm(x, (cols,), w, b)
    if case.family == "gelu":
        return lambda: F.gelu(x)
    if case.family == "add":
        y = carver.take(s["rows"], cols, dtype=case.dtype)
        return lambda: torch.add(x, y)
    return lambda: x.clone()


BUILDERS: dict[str, Callable[[Case, Carver], Call]] = {
    "gemm": gemm,
    "attention": attention,
    "attention_backward": attention_backward,
    "moe": moe,
    "reduce": reduce,
    "softmax": row_kernel,
    "rmsnorm": row_kernel,
    "layernorm": row_kernel,
    "gelu": row_kernel,
    "add": row_kernel,
    "copy": row_kernel,
    **STRUCTURES,
    **IN_TORCH,
}


def builder(case: Case) -> Callable[[Carver], Call]:
    """What the timer wants: inputs in, call out."""
    return lambda carver: BUILDERS[case.family](case, carver)


def check_conventions() -> dict[str, float]:
    """Largest relative errors of the kernels against float64, at small sizes with fresh inputs."""
    errors: dict[str, float] = {}
    for kernel, heads, kv_heads, queries, keys, causal in (
        ("flash-attention-2", 8, 2, 64, 192, True),
        ("flash-attention-2", 8, 2, 96, 96, True),
        ("flash-attention-2", 8, 2, 1, 300, False),
        ("cudnn", 8, 2, 96, 96, True),
        ("cudnn", 8, 2, 1, 300, False),
    ):
        q = torch.randn(2, heads, queries, 64, device="cuda", dtype=torch.bfloat16)
        k, v = (
            torch.randn(2, kv_heads, keys, 64, device="cuda", dtype=torch.bfloat16)
            for _ in range(2)
        )
        fresh = iter((q, k, v))
        shape = {"batch": 2, "heads": heads, "kv_heads": kv_heads, "queries": queries}
        shape |= {"keys": keys, "head_dim": 64, "causal": causal}
        case = Case("attention", kernel, "bf16", shape)
        got = attention(case, Handed(fresh))()  # pyright: ignore[reportArgumentType]
        k64, v64 = (t.double().repeat_interleave(heads // kv_heads, 1) for t in (k, v))
        score = q.double() @ k64.transpose(-1, -2) / 8.0
        seen = torch.ones(queries, keys, device="cuda", dtype=torch.bool)
        seen = seen.tril(keys - queries) if causal else seen
        want = torch.softmax(score.masked_fill(~seen, float("-inf")), -1) @ v64
        name = f"{kernel} {queries}x{keys}{' causal' if causal else ''}"
        errors[name] = float((got.double() - want).norm() / want.norm())
    shape = {"tokens": 40, "experts": 8, "top_k": 2, "hidden": 64, "intermediate": 48}
    case = Case("moe", "torch", "bf16", shape | {"routing": "balanced"})
    x = torch.randn(80, 64, device="cuda", dtype=torch.bfloat16)
    w1 = torch.randn(8, 96, 64, device="cuda", dtype=torch.bfloat16)
    w2 = torch.randn(8, 64, 48, device="cuda", dtype=torch.bfloat16)
    got = moe(case, Handed(iter((x, w1, w2))))()  # pyright: ignore[reportArgumentType]
    h = torch.einsum("erh,eoh->ero", x.double().view(8, 10, 64), w1.double())
    h = F.silu(h[..., :48]) * h[..., 48:]
    want = torch.einsum("eri,ehi->erh", h, w2.double()).reshape(80, 64)
    errors["moe balanced"] = float((got.double() - want).norm() / want.norm())
    return errors


class Handed:
    """A carver that hands out given tensors, for checks against a reference."""

    def __init__(self, tensors: Any) -> None:
        self.tensors = tensors

    def note(self, *_: Any) -> None:
        """Forgets the fact."""

    def take(self, *shape: int, **_: Any) -> torch.Tensor:
        """The next tensor, which must have the shape that is asked for."""
        tensor = next(self.tensors)
        assert tuple(tensor.shape) == shape, (tensor.shape, shape)
        return tensor
