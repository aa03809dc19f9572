"""Modifiers by name, and as text: `pbs-attn`, or `pbs-attn:segment=256,density=0.3`."""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.modifiers.modifier import Modifier
from hwmodel.einsum.workloads.named import named
from hwmodel.quantity.lazily import Lazily

MODIFIERS: Mapping[str, type[Any]] = Lazily(
    {
        "flux-attention": "hwmodel.einsum.workloads.modifiers.flux_attention:FluxAttention",
        "pbs-attn": "hwmodel.einsum.workloads.modifiers.pbs_attn:PbsAttn",
        "re-ttention": "hwmodel.einsum.workloads.modifiers.re_ttention:Rettention",
        "sparsed": "hwmodel.einsum.workloads.modifiers.sparsed:SparseD",
        "visor": "hwmodel.einsum.workloads.modifiers.visor:Visor",
        "zipvl": "hwmodel.einsum.workloads.modifiers.zipvl:ZipVl",
        "bottlenecked": "hwmodel.einsum.workloads.modifiers.bottlenecked:Bottlenecked",
        "duo-llm": "hwmodel.einsum.workloads.modifiers.mlps:DuoLlm",
        "hogwild": "hwmodel.einsum.workloads.modifiers.hogwild:Hogwild",
        "mixture-of-recursions": "hwmodel.einsum.workloads.modifiers.recursions:Recursions",
        "versatile-ffn": "hwmodel.einsum.workloads.modifiers.mlps:VersatileFfn",
    }
)
"""Name -> the value that it makes, whose fields are its options."""


def modifier(given: Modifier | str) -> Modifier:
    """The modifier that a text names, or the value given, its options within their limits.

    Raises `UnknownNameError` for a name, `InputError` for an option.
    """
    return named("modifier", given, MODIFIERS)
