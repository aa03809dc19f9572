"""Architectures of the literature in our own configs, by the verbs: keys, states, times.

Sources as far as they were read: abstracts of Block Transformer (arXiv 2406.02657), BASED (arXiv
2402.18668) and Mixture-of-Recursions (arXiv 2507.10524), the configs and the settings of the
repositories itsnamgyu/block-transformer and HazyResearch/based. Exact figures follow from
these sizes by hand.
"""

from collections import Counter
from itertools import product
from math import prod
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.machines.driver import predict
from hwmodel.spine.estimate import Estimate
from hwmodel.validation.papers.claim import Claim

VOCABULARY: dict[str, Any] = {"vocab_size": 50304, "torch_dtype": "bfloat16"}
DERIVED = "derived by hand from the published sizes"


def neox(hidden: int, layers: int, heads: int) -> dict[str, Any]:
    """A decoder as Pythia's."""
    return {
        **{"model_type": "gpt_neox", "hidden_size": hidden, "intermediate_size": 4 * hidden},
        **{"num_hidden_layers": layers, "num_attention_heads": heads},
    }


def blocks(hidden: int, layers: int, heads: int) -> Model:
    """Block Transformer's main configs: blocks of four tokens, two decoders of one size."""
    decoder = neox(hidden, layers, heads)
    both = {"block_decoder": decoder, "token_decoder": decoder}
    given = {"model_type": "block_transformer", "block_length": 4, "prefix": 2}
    return model({**VOCABULARY, **given, **both})


LARGE = (model({**VOCABULARY, **neox(1024, 24, 16)}), blocks(2048, 12, 16))
"""`vanilla_410` and `block_main_b4_1.2b`."""


def largest_batch(served: Model, context: int, on: str) -> int:
    """Sequences that memory holds."""
    one = predict(served.decode(1, context), on).serving
    assert one is not None
    return int(np.asarray(one.memory.largest_batch))


def tokens_per_s(served: Model, prompt: int, made: int, on: str) -> float:
    """Tokens a second of as many sequences as memory holds, prompts of eight at a time first."""
    batch = largest_batch(served, prompt + made, on)
    read_s = batch / 8 * float(predict(served.prefill(8, prompt), on).time_s)
    step_s = float(predict(served.decode(batch, prompt + made // 2), on).time_s)
    return batch * made / (read_s + made * step_s)


def block_transformer() -> tuple[Claim, ...]:
    """Throughput of the largest pair of configs, in both settings."""
    plain, ours = LARGE
    return tuple(
        Claim(
            *("Block Transformer", f"throughput, {prompt} read and {made} written", 15),
            tokens_per_s(ours, prompt, made, "h100") / tokens_per_s(plain, prompt, made, "h100"),
            *(1 / 3, "abstract: 10 to 20 times; ours in place of their torch, without a host"),
        )
        for prompt, made in ((2048, 128), (128, 2048))
    )


def positions() -> tuple[Claim, ...]:
    """What the decoder of blocks keeps and reads, against itself on tokens; a long context.

    The local decoder's few keys are in both.
    """
    decoder, context = neox(1024, 12, 16), 65536
    plain = model({**VOCABULARY, **decoder})
    ours = blocks(1024, 12, 16)
    kept = float(ours.kv_bytes(1, context) / plain.kv_bytes(1, context))
    read = [moved(predict(each.decode(8, context), "h100"), "attention") for each in (ours, plain)]
    said = "follows from blocks of four tokens"
    return (
        Claim("Block Transformer", "keys kept, of a decoder's of tokens", 1 / 4, kept, 0.01, said),
        Claim("Block Transformer", "keys read a token", 1 / 16, read[0] / read[1], 0.01, said),
    )


def layered(**keys: Any) -> Model:
    """A decoder said layer by layer."""
    return model({**VOCABULARY, "model_type": "layered", **keys})


BASED: dict[str, Any] = {
    **{"hidden_size": 1792, "intermediate_size": 3584, "num_attention_heads": 16},
    "num_hidden_layers": 36,
}


def based() -> Model:
    """The 1.3B: 7 linear layers, 7 windows, 22 convolutions."""
    mlp = {"block": "mlp"}
    kinds = {
        "linear": [{"block": "linear_attention", "feature_dim": 16}, mlp],
        "window": [{"block": "attention", "window": 64}, mlp],
        "conv": [{"block": "gated_conv", "taps": 3}, mlp],
    }
    types = ["conv"] * 36
    for number in (1, 6, 11, 16, 21, 27, 33):
        types[number], types[number + 1] = "linear", "window"
    return layered(**BASED, kinds=kinds, layer_types=types)


def based_claims() -> tuple[Claim, ...]:
    """States against keys of 1,024 tokens, and tokens a second with memory full."""
    ours, plain, context = based(), layered(**BASED), 1024
    kept = float(plain.kv_bytes(1, context) / ours.kv_bytes(1, context))
    speed: list[float] = []
    for each in (ours, plain):
        batch = largest_batch(each, context, "h100")
        speed.append(batch / float(predict(each.decode(batch, context // 2), "h100").time_s))
    return (
        Claim("BASED", "cache at 1,024 tokens, plain over ours", 26, kept, 0.05, DERIVED),
        Claim(
            *("BASED", "throughput of decode, memory full", 24, speed[0] / speed[1], 2 / 3),
            "abstract; batch and GPU not read, so that a third of it would do",
        ),
    )


RECURSED: dict[str, Any] = {
    **{"hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16},
}


def recursions() -> tuple[Claim, ...]:
    """Three recursions: keys kept, weights held, and weights read in a step."""
    plain = layered(**RECURSED, num_hidden_layers=24)
    own, shared = (
        layered(**RECURSED, num_hidden_layers=8, recursions=3, recursion_keys=keys)
        for keys in ("own", "all")
    )
    full = float(plain.kv_bytes(1, 3072))
    held = own.parameters_by_part["mlp"] / plain.parameters_by_part["mlp"]
    read = [
        sum(float(p.times * p.counts.read["dram"]) for p in step.parts if p.name == "gate-up")
        for step in (predict(each.decode(64, 3072), "h100") for each in (own, plain))
    ]
    pairs = [
        float(part.flop or 0)
        for part in predict(own.prefill(1, 3072), "h100").parts
        if part.name == "attention"
    ]
    system = "Mixture-of-Recursions"
    table = "a table of the paper, read second-hand; three recursions"
    return (
        Claim(
            system,
            "keys of each recursion",
            2 / 3,
            float(own.kv_bytes(1, 3072)) / full,
            1e-9,
            table,
        ),
        Claim(
            system, "keys of the first", 1 / 3, float(shared.kv_bytes(1, 3072)) / full, 1e-9, table
        ),
        Claim(system, "weights held", 1 / 3, held, 1e-9, table),
        Claim(system, "bytes of weights read in a step", 1, read[0] / read[1], 0.05, DERIVED),
        Claim(
            system,
            "attention of the second, of the first's",
            4 / 9,
            pairs[1] / pairs[0],
            0.01,
            table,
        ),
        Claim(system, "attention of the third", 1 / 9, pairs[2] / pairs[0], 0.01, table),
    )


def moved(step: Estimate, name: str) -> float:
    """DRAM bytes that the kernels of this name read."""
    return float(sum(p.times * p.counts.read["dram"] for p in step.parts if p.name == name))


def hogwild() -> tuple[Claim, ...]:
    """Four workers on one cache against one: keys and values read, and operations."""
    one, four = (
        predict(model("qwen2.5-7b", modifier=said).decode(1, 32768), "l40s")
        for said in (None, "hogwild:workers=4")
    )
    source = "follows from one cache read once for all; four workers, 32,768 tokens"
    keys = moved(four, "attention") / moved(one, "attention")
    return (
        Claim("Hogwild!", "keys and values read, of one worker's", 1, keys, 0.02, source),
        Claim(
            "Hogwild!", "operations, of one worker's", 4, float(four.flop / one.flop), 0.02, source
        ),
    )


def versatile() -> tuple[Claim, ...]:
    """Loops of an MLP add no weights."""
    once, often = (
        model("llama-3.1-8b", modifier=f"versatile-ffn:deep=1.0,loops={n}") for n in (1, 4)
    )
    held = often.weight_bytes / once.weight_bytes
    return (Claim("VersatileFFN", "weights of four loops, of one's", 1, held, 1e-9, "abstract"),)


def duo_llm() -> tuple[Claim, ...]:
    """Six layers, each with a big MLP, a small one or none: expected operations of a token.

    Against the mean over all 729 patterns, each a model of its own.
    """
    chances, width = {"big": 0.5, "small": 0.3, "none": 0.2}, 2816
    mlps = {"big": {"block": "mlp"}, "small": {"block": "mlp", "width": width // 4}}
    heads = {"block": "attention"}
    kinds = {kind: [heads, *([mlps[kind]] if kind in mlps else [])] for kind in chances}
    expected = 0.0
    for pattern, count in Counter(tuple(sorted(p)) for p in product(chances, repeat=6)).items():
        one = layered(**RECURSED, num_hidden_layers=6, kinds=kinds, layer_types=list(pattern))
        chance = prod(chances[kind] for kind in pattern)
        expected += count * chance * float(predict(one.decode(1, 512), "h200").flop)
    ways = {
        "layer": [
            heads,
            {"block": "choice", "ways": [{**mlps[n], "tokens": chances[n]} for n in mlps]},
        ]
    }
    ours = layered(**RECURSED, num_hidden_layers=6, kinds=ways)
    done = float(predict(ours.decode(1, 512), "h200").flop)
    return (
        Claim(
            *("Duo-LLM", "operations expected, of the mean of 729 patterns", 1, done / expected),
            *(0.001, "follows by hand; ours has a router, and the norm of tokens that skip"),
        ),
    )


def hourglass() -> tuple[Claim, ...]:
    """Blocks of as many parameters, wide-narrow-wide and narrow-wide-narrow: what they write."""
    shapes = {"wide": (4096, 512, 8), "usual": (1024, 4096, 4)}
    written: list[float] = []
    for hidden, inner, layers in shapes.values():
        sizes = {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers}
        ends = {"model_type": "residual_mlp", "inputs": 1024, "outputs": 1024}
        step = predict(model({**ends, **sizes, "torch_dtype": "bfloat16"}).prefill(4096, 1), "h200")
        parts = (p for p in step.parts if p.name in ("up", "down"))
        written.append(float(sum(p.times * p.counts.written["dram"] for p in parts)))
    ratio = 8 * (4096 + 512) / (4 * (1024 + 4096))
    said = "2 L (dz + dh) a token, by hand"
    return (
        Claim("Hourglass MLP", "bytes of activations", ratio, written[0] / written[1], 1e-6, said),
    )


def claims() -> tuple[Claim, ...]:
    """Claims of all systems."""
    return (
        *(*block_transformer(), *positions(), *based_claims(), *recursions()),
        *(*hogwild(), *versatile(), *duo_llm(), *hourglass()),
    )
