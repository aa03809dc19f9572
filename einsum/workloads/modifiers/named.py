"""Modifiers by name, and as text: `pbs-attn`, or `pbs-attn:segment=256,density=0.3`."""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.modifiers.bottlenecked import Bottlenecked
from hwmodel.einsum.workloads.modifiers.flux_attention import FluxAttention
from hwmodel.einsum.workloads.modifiers.hogwild import Hogwild
from hwmodel.einsum.workloads.modifiers.mlps import DuoLlm, VersatileFfn
from hwmodel.einsum.workloads.modifiers.modifier import Modifier
from hwmodel.einsum.workloads.modifiers.pbs_attn import PbsAttn
from hwmodel.einsum.workloads.modifiers.re_ttention import Rettention
from hwmodel.einsum.workloads.modifiers.recursions import Recursions
from hwmodel.einsum.workloads.modifiers.sparsed import SparseD
from hwmodel.einsum.workloads.modifiers.visor import Visor
from hwmodel.einsum.workloads.modifiers.zipvl import ZipVl
from hwmodel.einsum.workloads.named import named

_OF_ATTENTION = (FluxAttention, PbsAttn, Rettention, SparseD, Visor, ZipVl)
_OF_LAYERS = (Bottlenecked, DuoLlm, Hogwild, Recursions, VersatileFfn)
MODIFIERS: Mapping[str, type[Any]] = {
    modifier.NAME: modifier for modifier in (*_OF_ATTENTION, *_OF_LAYERS)
}
"""Name -> the value that it makes, whose fields are its options."""


def modifier(given: Modifier | str) -> Modifier:
    """The modifier that a text names, or the value given, its options within their limits.

    Raises `UnknownNameError` for a name, `InputError` for an option.
    """
    return named("modifier", given, MODIFIERS)
