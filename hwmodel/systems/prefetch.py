"""Decoding with experts on a drive: reads hidden under attention (SmallThinker, arXiv 2507.20984).

A mixture of experts whose router stands *before* attention knows the experts of a layer while its
attention still runs, so that experts that are not in memory are read from storage meanwhile:

    ahead        T_layer = max(T_attention + (k - 1) T_expert, j B / BW) + T_expert
    afterwards   T_layer = T_attention + j B / BW + k T_expert

j of the k experts that a token needs are missing; those that are there are multiplied first, the
others as they come in, and one is left when the last has (j = 0: nothing is waited for). j is
binomial: the tree has one branch for each j, since the expectation of a maximum is not the maximum
of expectations. A pick misses by the share of experts that memory holds and how popular each is
(`hwmodel.experts.popularity`); of a model of which that is not known, each is as likely as another.

Bytes are of the stored format. Of a gated expert whose neurons are mostly off (ReGLU), the gate is
multiplied whole, and the other two matrices' rows of neurons that are on; from storage it is read
whole. Of a head with a predictor of rows that matter, those rows are multiplied (SmallThinker's are
not said: all). At best all that a token needs is in memory, which is the fast end of the interval.
"""

import math
from dataclasses import dataclass
from typing import Any

from hwmodel.bounds.roofline import Floor
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.ends import Head
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.model import Model
from hwmodel.einsum.workloads.model import model as read
from hwmodel.experts.popularity import ALIKE, Popularity
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.cpu.rates import STORAGE, VECTOR, interval, rates
from hwmodel.machines.driver import estimated
from hwmodel.machines.run import Run, timed
from hwmodel.quantity.arithmetic import least
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError
from hwmodel.spine.activity import Activity, Chance, Overlap, Repeat, Serial, Work, fold
from hwmodel.spine.estimate import Estimate

UNEQUAL = (
    "popular experts stay in memory: the interval reaches from all that a token needs there to what"
    " a cache of the least recently used ones misses"
)
"""What an answer warns of that reads experts from storage."""

Q4_0_BYTES = 18 / 32
"""Bytes a weight of llama.cpp's Q4_0: blocks of 32 four-bit weights and a half-precision scale."""


@dataclass(frozen=True)
class SparseDecoder:
    """A decoder whose MLPs are all experts, gated (three matrices each): what its network says."""

    name: str
    layers: int
    attention: Attention
    mixture: Mixture
    head: Head
    neurons: float = 1.0
    """Share of an expert's neurons that are on."""
    popular: Popularity = ALIKE
    head_rows: float = 1.0
    """Share of the head's rows that are multiplied."""

    @classmethod
    def of(
        cls,
        model: Model,
        *,
        neurons: float = 1.0,
        popular: Popularity = ALIKE,
        head_rows: float = 1.0,
    ) -> "SparseDecoder":
        """Of a model whose layers are equal but for windows; `InputError` for another.

        `neurons` is the share of an expert's neurons that are on, `head_rows` that of the head's
        rows that are multiplied.
        """
        for name, share in (("neurons", neurons), ("head_rows", head_rows)):
            if not 0 < share <= 1:
                raise InputError(f"{model.name}: {name}: expected above 0 to 1, found {share}")
        found: dict[type[Any], list[Any]] = {Attention: [], Mixture: [], Head: []}
        for block, layers in model.network.placed:
            if type(block) in found:
                found[type(block)] += [block] * len(layers)
        depth = model.network.depth
        counts = {kind: len(blocks) for kind, blocks in found.items()}
        if counts != {Attention: depth, Mixture: depth, Head: 1}:
            raise InputError(
                f"{model.name}: expected attention and experts in each of {depth} layers, found"
                f" them in {counts[Attention]} and {counts[Mixture]}"
            )
        attention, mixture, head = (found[kind][0] for kind in (Attention, Mixture, Head))
        popular.whole(mixture.experts, mixture.picks)
        return cls(model.name, depth, attention, mixture, head, neurons, popular, head_rows)

    @property
    def experts(self) -> int:
        """Experts of a layer."""
        return self.mixture.experts

    @property
    def active(self) -> int:
        """Of which a token takes."""
        return self.mixture.picks

    @property
    def expert_parameters(self) -> int:
        """Weights of one expert."""
        held = (weight for weight in self.mixture.weights() if weight.part == "experts")
        return sum(weight.elements() // weight.copies for weight in held)

    @property
    def touched_parameters(self) -> float:
        """Of which one token multiplies: the gate, and of the other two the rows that are on."""
        return self.expert_parameters * (1 + 2 * self.neurons) / 3

    @property
    def attention_parameters(self) -> int:
        """Weights of a layer's query, key, value and output products."""
        held = (weight for weight in self.attention.weights() if weight.role == "linear")
        return sum(weight.elements() for weight in held)

    @property
    def head_parameters(self) -> int:
        """Weights of the head, which is the embedding's table too."""
        return self.head.table.elements()

    @property
    def parameters(self) -> int:
        """All weights but norms and routers, the embedding shared with the head."""
        each = self.attention_parameters + self.experts * self.expert_parameters
        return self.layers * each + self.head_parameters

    @property
    def dense_parameters(self) -> int:
        """Weights that every token needs: attention and head."""
        return self.layers * self.attention_parameters + self.head_parameters

    @property
    def kv_elements(self) -> int:
        """Elements of the cache that one key of one layer adds."""
        cache = self.attention.cache()
        return 0 if cache is None else cache.per_token()


def _smallthinker(name: str, sizes: tuple[int, int, int, int], experts: tuple[int, int]) -> Model:
    """A released model: (layers, hidden, heads, key heads), (experts, of which active)."""
    layers, hidden, heads, kv_heads = sizes
    return read(
        {
            **{"model_type": "smallthinker", "name": name, "torch_dtype": "bfloat16"},
            **{"num_hidden_layers": layers, "hidden_size": hidden, "vocab_size": 151936},
            **{"num_attention_heads": heads, "num_key_value_heads": kv_heads},
            **{"moe_num_primary_experts": experts[0], "moe_ffn_hidden_size": 768},
            **{"moe_num_active_primary_experts": experts[1], "tie_word_embeddings": True},
        }
    )


ON = 0.4
"""Share of SmallThinker's neurons that are on: "over 60 % remain inactive" (its report, 5.3)."""
HOT = Popularity(((0.2, 0.4),))
"""20 to 30 % of its experts are needed by a token with a chance of 0.4 to 0.6, others of less than
0.14 (its report, 5.2): the least of both, as more are above the six picks of 64 experts."""
SMALLTHINKER_4B = SparseDecoder.of(
    _smallthinker("smallthinker-4b-a0.6b", (32, 1536, 12, 2), (32, 4)), neurons=ON, popular=HOT
)
SMALLTHINKER_21B = SparseDecoder.of(
    _smallthinker("smallthinker-21b-a3b", (52, 2560, 28, 4), (64, 6)), neurons=ON, popular=HOT
)


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
    low, high = interval(hardware)
    name = f"{hardware.kind}, experts {'ahead' if ahead else 'afterwards'}"
    layer = _layer(model, held, context, ahead, weight_bytes)
    head = _products(model.head_rows * model.head_parameters, weight_bytes)
    all_s = fold(_layer(model, 1.0, context, ahead, weight_bytes), speeds).time_s
    shortest = float(all_s / fold(layer, speeds).time_s)
    parts = (
        timed("layer", name, model.layers, layer, speeds, None, (low * shortest, high)),
        timed("head", name, 1, head, speeds, None, (low, high)),
    )
    touched = model.dense_parameters - (1 - model.head_rows) * model.head_parameters
    touched += model.layers * model.active * model.touched_parameters
    least_bytes = touched * weight_bytes + model.layers * 2 * model.kv_elements * context
    dram = hardware.memory("dram").bandwidth_bytes_per_s
    told = Run(
        parts=tuple((part,) for part in parts),
        floor=Floor(least_bytes, least_bytes / dram),
        assumptions=(
            "stack: no library in particular",
            f"{held:.1%} of the experts in memory, the least recently used dropped first;"
            f" {'some' if model.popular.classes else 'none'} more popular than others",
            f"{model.neurons:.0%} of an expert's neurons on; a cache of 16-bit keys and values",
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
    products = 4 * model.attention.heads * model.attention.head_dim * context
    cache = Work(
        operations={(VECTOR, "flop", "fp32"): products},
        read={"dram": 2 * model.kv_elements * context},
    )
    attention = Serial((_products(model.attention_parameters, weight_bytes), cache))
    size = model.expert_parameters * weight_bytes
    k, miss = model.active, model.popular.missed(model.experts, model.active, held)
    one = _products(model.touched_parameters, weight_bytes)
    branches: list[Activity] = []
    for missing in range(k + 1):
        chance = math.comb(k, missing) * miss**missing * (1 - miss) ** (k - missing)
        reads = Work(
            messages={STORAGE: (missing, missing * size)} if missing else {},
            written={"dram": missing * size},
        )
        if ahead:
            both: Activity = Overlap((Serial((attention, Repeat(k - 1, one))), reads))
            branches.append(Chance(chance, Serial((both, one))))
        else:
            branches.append(Chance(chance, Serial((attention, reads, Repeat(k, one)))))
    return Serial(tuple(branches))


def _products(parameters: float, weight_bytes: float) -> Work:
    """One vector through so many weights: int8 arithmetic, weights from the DRAM."""
    return Work(
        operations={(VECTOR, "flop", "int8"): 2 * parameters},
        read={"dram": parameters * weight_bytes},
        slots={"launch": 1},
    )
