"""A whole mixture-of-experts layer, from hidden states to hidden states, as torch kernels.

Router, routing, rows gathered, experts, rows combined (`dispatch.py`, `moe.py`), and where a model
has them, shared experts: one gated MLP that every token passes, added to the routed result (Dai et
al., DeepSeekMoE, arXiv 2401.06066, section 3.2).
"""

from typing import Any, NamedTuple

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.origin import Origin
from hwmodel.einsum.workloads.dispatch import Scoring, combine_kernels, gather_rows, router_kernels
from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.moe import expert_kernels
from hwmodel.einsum.workloads.rows import add, multiply, silu
from hwmodel.einsum.workloads.workload import formats, once, whole
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.checked import checked
from hwmodel.quantity.units import Amount


@checked
def moe_layer(
    tokens: Amount,
    experts: Amount,
    top_k: Amount,
    hidden: Amount,
    intermediate: Amount,
    shared_intermediate: Amount | None = None,
    routing: str = "uniform",
    exponent: float | None = None,
    normalised: bool = True,
    dtype: str = "bf16",
    weight_dtype: str | None = None,
    name: str = "moe_layer",
) -> Stack:
    """All kernels of the layer; `shared_intermediate` is the width of its shared experts together.

    `normalised` has the weights of the chosen experts sum to one. Raises `InputError` naming the
    argument at fault.
    """
    arguments: dict[str, Any] = {**locals()}
    made = layer_kernels(**{key: arguments[key] for key in arguments if key != "name"})
    return Stack(name, made.kernels, Origin("moe_layer", arguments, moe_layer))


class Layer(NamedTuple):
    """The kernels of a layer: what chooses experts and gathers their rows, experts, their sum."""

    routing: tuple[Stage, ...]
    experts: tuple[Stage, ...]
    combining: tuple[Stage, ...]

    @property
    def kernels(self) -> tuple[Stage, ...]:
        """All, in order."""
        return (*self.routing, *self.experts, *self.combining)


@once
def layer_kernels(
    *,
    tokens: Amount,
    experts: Amount,
    top_k: Amount,
    hidden: Amount,
    intermediate: Amount,
    shared_intermediate: Amount | None = None,
    routing: str = "uniform",
    exponent: float | None = None,
    normalised: bool = True,
    dtype: str = "bf16",
    linear_dtype: str | None = None,
    weight_dtype: str | None = None,
    router_dtype: str | None = None,
    down: ModuleFormats | None = None,
    scoring: Scoring | None = None,
    router_bias: bool = False,
    act: str = "silu",
    gated: bool = True,
    router_width: int | None = None,
    idle: int = 0,
    times: Amount = 1,
    ways: int = 1,
    gathered: int = 1,
) -> Layer:
    """The stages of `moe_layer`; experts read their input as `linear_dtype` (default: `dtype`).

    `down` are the formats of the experts' second product (default: as the first's), `scoring` that
    of a router that is not a softmax of all logits, `normalised` or not. Of `ways` devices that
    divide the experts it is one; those of `gathered` devices, with as many tokens each, come to its
    experts. Where none but its own do, it gathers and combines its share of the rows alone.
    """
    sizes = whole(
        *("moe_layer",),
        **{"tokens": tokens, "experts": experts, "top_k": top_k},
        **{"hidden": hidden, "intermediate": intermediate},
    )
    kinds = formats("moe_layer", dtype=dtype, linear=linear_dtype or dtype)
    kind, linear = kinds["dtype"], kinds["linear"]
    tokens, experts, picks = sizes["tokens"], sizes["experts"], sizes["top_k"]
    router = gemm(
        *(tokens, experts + idle, router_width or hidden),
        dtype=kind,
        weight_dtype=router_dtype,
        out_dtype=kind,
        bias=router_bias,
        name="router",
    )
    here = ways if gathered == 1 else 1
    chosen = (
        Stage(router, times),
        *router_kernels(
            *(tokens, experts + idle, picks),
            *(scoring or Scoring(normalised=normalised), kind, times),
        ),
        Stage(
            gather_rows(ceil_div(tokens * picks, here), tokens, hidden, kind, "rows gather"), times
        ),
    )
    computed = (
        *expert_kernels(
            *(tokens * gathered, experts, picks, hidden, intermediate, routing, exponent),
            dtype=linear,
            weight_dtype=weight_dtype,
            down=down,
            act=act,
            gated=gated,
            out_dtype=kind,
            times=times,
            ways=ways,
            sent=gathered > 1,
        ),
        *(
            ()
            if shared_intermediate is None
            else _shared(tokens, hidden, shared_intermediate, kind, linear, weight_dtype, times)
        ),
    )
    return Layer(chosen, computed, combine_kernels(tokens, picks, hidden, kind, times, here))


def _shared(
    tokens: Amount,
    hidden: Amount,
    intermediate: Amount,
    kind: str,
    linear: str,
    weight_dtype: str | None,
    times: Amount,
) -> tuple[Stage, ...]:
    """Shared experts on every token, and the addition of their result."""
    inner = whole("moe_layer", shared_intermediate=intermediate)["shared_intermediate"]

    def product(name: str, outputs: Amount, inputs: Amount) -> Stage:
        made = gemm(
            *(tokens, outputs, inputs),
            dtype=linear,
            weight_dtype=weight_dtype,
            out_dtype=kind,
            name=name,
        )
        return Stage(made, times)

    return (
        product("shared gate-up", 2 * inner, hidden),
        Stage(silu(tokens, inner, kind, "shared silu"), times),
        Stage(multiply(tokens, inner, kind, "shared multiply"), times),
        product("shared down", hidden, inner),
        Stage(add(tokens, hidden, kind, "shared add"), times),
    )
