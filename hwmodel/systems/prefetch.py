"""Decoding with experts on a drive: reads hidden under attention (SmallThinker, arXiv 2507.20984).

A mixture of experts whose router stands *before* attention knows the experts of a layer while its
attention still runs, so that experts that are not in memory are read from storage meanwhile:

    ahead        T_layer = max(T_attention, j B / BW) + T_experts
    afterwards   T_layer = T_attention + j B / BW + T_experts

j of the k experts that a token needs are missing. With a share h of all experts in memory and each
expert as likely as another, j is binomial with 1 - h: the tree has one branch for each j, since the
expectation of a maximum is not the maximum of expectations. Bytes are of the stored format; every
weight that a token needs is read once, the sparsity inside of experts and head is left out.

Experts are not equally likely: popular ones stay in memory. How often that is so is a matter of the
model and its text; at best all that a token needs is there, which is the fast end of the interval.
Of two boards with a gigabyte one was measured 8.5 times faster than with equal chances (RK3588,
15.04 tokens/s), the other as fast (Raspberry Pi 5, 0.75).
"""

import math
from dataclasses import dataclass

from hwmodel.bounds.roofline import Floor
from hwmodel.einsum.network import Stack
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.cpu.predict import KERNEL, UNIT
from hwmodel.machines.cpu.rates import INTERVAL, STORAGE, rates
from hwmodel.machines.driver import estimated
from hwmodel.machines.run import Run, timed
from hwmodel.quantity.arithmetic import least
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError
from hwmodel.spine.activity import Activity, Chance, Overlap, Repeat, Serial, Work, fold
from hwmodel.spine.estimate import Estimate

UNEQUAL = (
    "popular experts stay in memory: the interval reaches from all that a token needs there to each"
    " expert as likely as another; with a gigabyte one board was measured 8.5 times faster than so"
    " (RK3588), another as fast (Raspberry Pi 5)"
)
"""What an answer warns of that reads experts from storage."""

Q4_0_BYTES = 18 / 32
"""Bytes a weight of llama.cpp's Q4_0: blocks of 32 four-bit weights and a half-precision scale."""


@dataclass(frozen=True)
class SparseDecoder:
    """A decoder whose MLPs are all experts, gated (three matrices each)."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    experts: int
    active: int
    intermediate: int
    vocabulary: int

    @property
    def expert_parameters(self) -> int:
        """Weights of one expert."""
        return 3 * self.hidden * self.intermediate

    @property
    def attention_parameters(self) -> int:
        """Weights of a layer's query, key, value and output products."""
        both = 2 * self.heads + 2 * self.kv_heads
        return self.hidden * both * self.head_dim

    @property
    def parameters(self) -> int:
        """All weights but norms and routers, the embedding shared with the head."""
        each = self.attention_parameters + self.experts * self.expert_parameters
        return self.layers * each + self.vocabulary * self.hidden

    @property
    def dense_parameters(self) -> int:
        """Weights that every token needs: attention and head."""
        return self.layers * self.attention_parameters + self.vocabulary * self.hidden

    @property
    def kv_elements(self) -> int:
        """Elements of the cache that one key of one layer adds."""
        return 2 * self.kv_heads * self.head_dim


SMALLTHINKER_4B = SparseDecoder("smallthinker-4b-a0.6b", 32, 1536, 12, 2, 128, 32, 4, 768, 151936)
SMALLTHINKER_21B = SparseDecoder("smallthinker-21b-a3b", 52, 2560, 28, 4, 128, 64, 6, 768, 151936)


def decode(
    model: SparseDecoder,
    hardware: Hardware,
    *,
    memory_bytes: float | None = None,
    context: int = 256,
    ahead: bool = True,
    weight_bytes: float = Q4_0_BYTES,
) -> Estimate:
    """One token of one sequence, with at most `memory_bytes` of memory for weights (None: all).

    `ahead` reads missing experts while attention runs. Raises `CapacityError` where attention and
    head alone do not fit, `CoverageError` for a machine without storage that has to read from it.
    """
    if context < 1:
        raise InputError(f"decode: context: expected 1 or more, found {context}")
    limit = hardware.memory("dram").capacity_bytes if memory_bytes is None else memory_bytes
    held = resident_share(model, float(limit), weight_bytes)
    if held < 1 and hardware.storage is None:
        raise CoverageError(
            f"{hardware.name}: {model.name} does not fit into {float(limit):.4g} bytes and there is"
            " no storage to read experts from; give the machine a storage"
        )
    drive, stored = hardware.storage, model.parameters * weight_bytes
    if held < 1 and drive is not None and stored > drive.capacity_bytes:
        raise CapacityError(
            f"{hardware.name}: {model.name} takes {stored:,.0f} bytes of storage, which has"
            f" {drive.capacity_bytes:,.0f}: {stored - drive.capacity_bytes:,.0f} short"
        )
    speeds = rates(hardware)
    name = f"{KERNEL}, experts {'ahead' if ahead else 'afterwards'}"
    layer = _layer(model, held, context, ahead, weight_bytes)
    head = _products(model.vocabulary * model.hidden, weight_bytes)
    all_s = fold(_layer(model, 1.0, context, ahead, weight_bytes), speeds).time_s
    shortest = float(all_s / fold(layer, speeds).time_s)
    parts = (
        timed(
            "layer", name, model.layers, layer, speeds, None, (INTERVAL[0] * shortest, INTERVAL[1])
        ),
        timed("head", name, 1, head, speeds, None, INTERVAL),
    )
    touched = model.dense_parameters
    touched += model.layers * model.active * model.expert_parameters
    least_bytes = touched * weight_bytes + model.layers * 2 * model.kv_elements * context
    dram = hardware.memory("dram").bandwidth_bytes_per_s
    told = Run(
        parts=tuple((part,) for part in parts),
        floor=Floor(least_bytes, least_bytes / dram),
        assumptions=(
            "stack: no library in particular",
            f"{held:.1%} of the experts in memory, each as likely as another to be needed",
            "every weight of a chosen expert is read; a cache of 16-bit keys and values",
        ),
        warnings=(
            f"uncalibrated: {hardware.name} was not measured; shares are priors",
            *((UNEQUAL,) if held < 1 else ()),
        ),
    )
    return estimated(Stack(f"{model.name} decode", ()), hardware, told)


def resident_share(model: SparseDecoder, memory_bytes: float, weight_bytes: float) -> float:
    """Share of all experts that fit beside attention and head."""
    left = memory_bytes - model.dense_parameters * weight_bytes
    if left < 0:
        raise CapacityError(
            f"{model.name}: attention and head need {model.dense_parameters * weight_bytes:,.0f}"
            f" bytes, {memory_bytes:,.0f} are there: {-left:,.0f} short"
        )
    every = model.layers * model.experts * model.expert_parameters * weight_bytes
    return float(least((1.0, left / every)))


def _layer(
    model: SparseDecoder, held: float, context: int, ahead: bool, weight_bytes: float
) -> Activity:
    """Attention, experts that are missing in every number, and the experts' products."""
    cache = Work(
        operations={(UNIT, "flop", "fp32"): 4 * model.heads * model.head_dim * context},
        read={"dram": 2 * model.kv_elements * context},
    )
    attention = Serial((_products(model.attention_parameters, weight_bytes), cache))
    size = model.expert_parameters * weight_bytes
    k, miss = model.active, 1 - held
    branches: list[Activity] = []
    for missing in range(k + 1):
        chance = math.comb(k, missing) * miss**missing * held ** (k - missing)
        reads = Work(
            messages={STORAGE: (missing, missing * size)} if missing else {},
            written={"dram": missing * size},
        )
        both = Overlap((attention, reads)) if ahead else Serial((attention, reads))
        branches.append(Chance(chance, both))
    experts = Repeat(k, _products(model.expert_parameters, weight_bytes))
    return Serial((*branches, experts))


def _products(parameters: int, weight_bytes: float) -> Work:
    """One vector through so many weights: int8 arithmetic, weights from the DRAM."""
    return Work(
        operations={(UNIT, "flop", "int8"): 2 * parameters},
        read={"dram": parameters * weight_bytes},
        slots={"launch": 1},
    )
