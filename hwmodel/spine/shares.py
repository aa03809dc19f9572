"""One device's share of a model under an execution, by the rules of the engine that runs it.

What an execution may divide depends on the model's numbers, and engines differ:

    exact      nothing is padded; key heads fewer than tp are repeated alike on several devices;
               layers that are left over go to the stages before the last, backwards
    vllm       the same, but for the vocabulary: padded to a multiple of 64, then divided by tp
    megatron   vocabulary padded to a multiple of 128 tp; key heads divided by tp, never repeated;
               layers divided evenly over stages and their chunks, unless a layout says otherwise

(`get_pp_indices` and `pad_vocab_size` of vLLM; `_vocab_size_with_padding`, `TransformerConfig` of
Megatron-LM.) An illegal split is refused with every reason.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hwmodel.einsum.division import spread
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.spine.execution import Execution

Engine: TypeAlias = Literal["exact", "vllm", "megatron"]
ENGINES: Final = ("exact", "vllm", "megatron")

VLLM_VOCABULARY = 64
"""DEFAULT_VOCAB_PADDING_SIZE of vLLM."""
MEGATRON_VOCABULARY = 128
"""`--make-vocab-size-divisible-by` of Megatron-LM, for each tensor-parallel device."""
_ENDS: Final = 2
"""Embedding and head, which may have a stage to themselves."""
_INNER: Final = ("mlp", "experts")
"""Parts whose inner columns are divided."""


@dataclass(frozen=True)
class Sizes:
    """The numbers of a model that executions divide; experts 0 where it has none.

    Key heads are 0 where a latent stands for them, which every device has whole. `maps` says that
    it is a network of maps, which replicas alone divide.
    """

    heads: int
    kv_heads: int
    layers: int
    vocabulary: int
    intermediate: int
    experts: int = 0
    expert_intermediate: int = 0
    maps: bool = False

    @classmethod
    def of(cls, network: Network) -> "Sizes":
        """Those of a network; 0 for what it has none of."""
        weights = [weight for weight, _ in network.weights]
        counted = {w.split.what: w.split.pieces for w in weights if w.split is not None}
        inner = {part: split.pieces for part in _INNER if (split := network.split(part))}
        return cls(
            heads=counted.get("num_attention_heads", 0),
            kv_heads=counted.get("num_key_value_heads", 0),
            layers=network.depth,
            vocabulary=counted.get("vocab_size", network.judges),
            intermediate=inner.get("mlp", 0),
            experts=max((w.copies for w in weights if w.part == "experts"), default=0),
            expert_intermediate=inner.get("experts", 0),
            maps=network.judges > 0,
        )


@dataclass(frozen=True)
class Share:
    """What one device holds: heads, rows of the vocabulary, experts; and the layers of each stage.

    `layers` is by chunk, in the order of the model; chunk c of stage s is `layers[c * pp + s]`
    where chunks are interleaved. `kv_repeats` devices hold the same key head. `padding` is rows of
    the whole vocabulary that mean nothing.
    """

    heads: int
    kv_heads: int
    kv_repeats: int
    vocabulary: int
    padding: int
    intermediate: int
    experts: int
    expert_intermediate: int
    layers: tuple[int, ...]


def share(execution: Execution, sizes: Sizes, *, engine: Engine = "exact") -> Share:
    """One device's share; `InputError` with every reason where the split is not legal."""
    reasons = refusals(execution, sizes, engine=engine)
    if reasons:
        raise InputError("; ".join(reasons))
    tp = execution.tp
    padded = padded_vocabulary(sizes.vocabulary, tp, engine)
    return Share(
        heads=sizes.heads // tp,
        kv_heads=max(1, sizes.kv_heads // tp) if sizes.kv_heads else 0,
        kv_repeats=max(1, tp // sizes.kv_heads) if sizes.kv_heads else tp,
        vocabulary=padded // tp,
        padding=padded - sizes.vocabulary,
        intermediate=sizes.intermediate // tp,
        experts=sizes.experts // execution.ep,
        expert_intermediate=sizes.expert_intermediate // execution.expert_tp,
        layers=execution.layers or spread(sizes.layers, execution.pp * execution.vp),
    )


def refusals(
    execution: Execution,
    sizes: Sizes,
    *,
    engine: Engine = "exact",
    sequence: int | None = None,
    uneven: bool = False,
) -> tuple[str, ...]:
    """Why a model cannot be divided so; empty where it can.

    `sequence` is tokens, where known; `uneven` whether stages of Megatron may differ (its layouts).
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    tp, ep, etp = execution.tp, execution.ep, execution.expert_tp
    padded = padded_vocabulary(sizes.vocabulary, tp, engine)
    whole = "vocabulary" if padded == sizes.vocabulary else "padded vocabulary"
    found = [
        *_indivisible("tp", tp, "query heads", sizes.heads),
        *_key_heads(tp, sizes.kv_heads, engine),
        *_indivisible("tp", tp, "intermediate size", sizes.intermediate),
        *_indivisible("tp", tp, whole, padded),
        *_stages(execution, sizes.layers, even=engine == "megatron" and not uneven),
    ]
    if sizes.maps:
        found = [
            f"{name}: expected 1, since replicas (dp) alone divide a network of maps; found {ways}"
            for name in ("tp", "cp", "pp", "ep")
            if (ways := getattr(execution, name)) > 1
        ]
    elif sizes.experts:
        found += _indivisible("ep", ep, "experts", sizes.experts)
        found += _indivisible("etp", etp, "experts' intermediate size", sizes.expert_intermediate)
    elif ep > 1:
        found.append(f"ep: expected a model with experts, over which ep divides; found ep={ep}")
    if sequence is not None:
        # Each device takes two pieces of a causal sequence, one from each end, which balances them.
        pieces = 2 * execution.cp if execution.cp > 1 else 1
        found += _indivisible("cp", pieces, "tokens of a sequence", sequence, "2 cp")
        if execution.sp and not sequence % pieces:
            part = sequence // execution.cp
            found += _indivisible("sp", tp, "tokens of a device's sequence", part, "tp")
    return tuple(found)


def padded_vocabulary(vocabulary: int, tp: int, engine: Engine = "exact") -> int:
    """Rows of the embedding and of the head, with those that an engine adds."""
    multiple = {"exact": 1, "vllm": VLLM_VOCABULARY, "megatron": MEGATRON_VOCABULARY * tp}[engine]
    return int(ceil_div(vocabulary, multiple)) * multiple


def _indivisible(kind: str, ways: int, what: str, size: int, called: str = "") -> list[str]:
    if size % ways == 0:
        return []
    named = f"{called} ({ways})" if called else f"{ways}"
    return [f"{kind}: expected a divisor of the {size} {what}, found {named}"]


def _key_heads(tp: int, heads: int, engine: Engine) -> list[str]:
    if not heads:
        return []
    if engine == "megatron" or heads >= tp:
        return _indivisible("tp", tp, "key heads", heads)
    if tp % heads == 0:
        return []
    return [
        f"tp: expected a multiple of the {heads} key heads when above them, so that each is"
        f" repeated alike; found {tp}"
    ]


def _stages(execution: Execution, layers: int, *, even: bool) -> list[str]:
    chunks = execution.pp * execution.vp
    called = "pp" if execution.vp == 1 else "pp x vp"
    if execution.layers is not None:
        held = sum(execution.layers)
        if held != layers:
            return [f"layers: expected {layers} over all chunks, found {held}"]
    most = max(execution.layers or (-(-layers // chunks),))
    if (execution.recompute_layers or 0) > most:
        return [
            f"recompute_layers: expected at most the {most} layers of a chunk, found"
            f" {execution.recompute_layers}"
        ]
    if execution.layers is not None:
        return []
    if even:
        return _indivisible(called, chunks, "layers", layers)
    if chunks > layers + _ENDS:
        return [
            f"{called}: expected {layers + _ENDS} or fewer, one for each layer and either end;"
            f" found {chunks}"
        ]
    return []
