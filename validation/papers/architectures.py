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
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.spine.estimate import Estimate
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

VOCABULARY: dict[str, Any] = {"vocab_size": 50304, "torch_dtype": "bfloat16"}
RUNS = "transformers"
DERIVED = "derived by hand from the published sizes"


def neox(hidden: int, layers: int, heads: int) -> dict[str, Any]:
    """A decoder as Pythia's."""
    return {
        **{"model_type": "gpt_neox", "hidden_size": hidden, "intermediate_size": 4 * hidden},
        **{"num_hidden_layers": layers, "num_attention_heads": heads},
    }


def blocks(hidden: int, layers: int, heads: int, length: int = 4) -> Model:
    """Block Transformer's main configs: blocks of four tokens, two decoders of one size."""
    decoder = neox(hidden, layers, heads)
    both = {"block_decoder": decoder, "token_decoder": decoder}
    given = {"model_type": "block_transformer", "block_length": length, "prefix": 2}
    return model({**VOCABULARY, **given, **both})


def largest_batch(served: Model, context: int, on: Hardware) -> int:
    """Sequences that memory holds."""
    one = predict(served.decode(1, context), on).serving
    assert one is not None
    return int(np.asarray(one.memory.largest_batch))


def tokens_per_s(served: Model, prompt: int, made: int, on: Hardware) -> float:
    """Tokens a second of as many sequences as memory holds, their prompts first."""
    batch = largest_batch(served, prompt + made, on)
    read_s = float(predict(served.prefill(batch, prompt), on, engine=RUNS).time_s)
    step = served.decode(batch, prompt + made // 2)
    step_s = float(predict(step, on, engine=RUNS).time_s)
    return batch * made / (read_s + made * step_s)


def block_transformer(given: Given) -> tuple[Claim, ...]:
    """Throughput of the largest pair of configs, in both settings, as transformers runs both.

    They are `vanilla_410` and `block_main_b4_1.2b`; `measure_generation_time.py` calls `generate`.
    """
    gpu = given.device("h100")
    plain = model({**VOCABULARY, **neox(1024, given("layers of the plain one", 24), 16)})
    ours = blocks(2048, 12, 16)
    return tuple(
        Claim(
            system="Block Transformer",
            quantity=f"throughput, {prompt} read and {made} written",
            published=15,
            ours=tokens_per_s(ours, prompt, made, gpu) / tokens_per_s(plain, prompt, made, gpu),
            tolerance=1 / 3,
            source="abstract: 10 to 20 times",
            within="the range that is published",
            cause="FlashAttention-2 takes 4.5 ms of a step of 28 for the four keys of a block here;"
            " caches are copied each step, as DynamicCache does, which is most of the gain",
        )
        for prompt, made in ((2048, 128), (128, 2048))
    )


def positions(given: Given) -> tuple[Claim, ...]:
    """What the decoder of blocks keeps and reads, against itself on tokens; a long context.

    The local decoder's few keys are in both.
    """
    decoder, context = neox(1024, 12, 16), 65536
    plain = model({**VOCABULARY, **decoder})
    ours = blocks(1024, 12, 16, length=given("tokens of a block", 4))
    kept = float(ours.kv_bytes(1, context) / plain.kv_bytes(1, context))
    gpu = given.device("h100")
    read = [moved(predict(each.decode(8, context), gpu), "attention") for each in (ours, plain)]
    said = "follows from blocks of four tokens"
    return (
        Claim(
            *("Block Transformer", "keys kept, of a decoder's of tokens", 1 / 4, kept, 0.01, said),
            identity=True,
        ),
        Claim(
            *("Block Transformer", "keys read a token", 1 / 16, read[0] / read[1], 0.01, said),
            within="the keys of a block itself",
            identity=True,
        ),
    )


def layered(**keys: Any) -> Model:
    """A decoder said layer by layer."""
    return model({**VOCABULARY, "model_type": "layered", **keys})


BASED: dict[str, Any] = {
    **{"hidden_size": 1792, "intermediate_size": 3584, "num_attention_heads": 16},
    "num_hidden_layers": 36,
}


def based(window: int = 64) -> Model:
    """The 1.3B: 7 linear layers, 7 windows, 22 convolutions."""
    mlp = {"block": "mlp"}
    kinds = {
        "linear": [{"block": "linear_attention", "feature_dim": 16}, mlp],
        "window": [{"block": "attention", "window": window}, mlp],
        "conv": [{"block": "gated_conv", "taps": 3}, mlp],
    }
    types = ["conv"] * 36
    for number in (1, 6, 11, 16, 21, 27, 33):
        types[number], types[number + 1] = "linear", "window"
    return layered(**BASED, kinds=kinds, layer_types=types)


def based_claims(given: Given) -> tuple[Claim, ...]:
    """States against keys of 1,024 tokens, and tokens a second with memory full."""
    ours, plain, context = based(given("window", 64)), layered(**BASED), given("context", 1024)
    gpu = given.device("h100")
    kept = float(plain.kv_bytes(1, context) / ours.kv_bytes(1, context))
    speed: list[float] = []
    for each in (ours, plain):
        batch = largest_batch(each, context, gpu)
        speed.append(batch / float(predict(each.decode(batch, context // 2), gpu).time_s))
    return (
        Claim(
            *("BASED", "cache at 1,024 tokens, plain over ours", 26, kept, 0.03, DERIVED),
            within="states of the linear layers alone; ours has the convolutions' too",
            identity=True,
        ),
        Claim(
            *("BASED", "throughput of decode, memory full", 24, speed[0] / speed[1], 0.2),
            "abstract: 24 times FlashAttention-2's; batch and GPU not read",
            within="batch and GPU are not said",
            cause="bytes allow no more: states are written as well as read, weights are read by"
            " both; its script replays a graph for models that are told to, and a host that"
            " launches 36 layers takes several times what their bytes need",
        ),
    )


RECURSED: dict[str, Any] = {
    **{"hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16},
}


def recursions(given: Given) -> tuple[Claim, ...]:
    """Three recursions: keys kept, weights held, and weights read in a step."""
    plain = layered(**RECURSED, num_hidden_layers=24)
    own, shared = (
        layered(**RECURSED, num_hidden_layers=layers, recursions=loops, recursion_keys=keys)
        for loops, layers in ((given("recursions", 3), given("layers that recur", 8, 4)),)
        for keys in ("own", "all")
    )
    gpu = given.device("h100")
    full = float(plain.kv_bytes(1, 3072))
    held = own.parameters_by_part["mlp"] / plain.parameters_by_part["mlp"]
    read = [
        sum(float(p.times * p.counts.read["dram"]) for p in step.parts if p.name == "gate-up")
        for step in (predict(each.decode(64, 3072), gpu) for each in (own, plain))
    ]
    pairs = [
        float(part.flop or 0)
        for part in predict(own.prefill(1, 3072), gpu).parts
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
            identity=True,
        ),
        Claim(
            *(system, "keys of the first", 1 / 3, float(shared.kv_bytes(1, 3072)) / full, 1e-9),
            table,
            identity=True,
        ),
        Claim(system, "weights held", 1 / 3, held, 1e-9, table, identity=True),
        Claim(
            *(system, "bytes of weights read in a step, of the plain one's", 1, read[0] / read[1]),
            *(0.005, DERIVED),
            within="what stays in the L2 from one recursion to the next",
            identity=True,
        ),
        *(
            Claim(
                *(system, f"attention of the {name}, of the first's", share),
                *(pairs[at] / pairs[0], 0.002, table),
                within="the diagonal of the mask",
                identity=True,
            )
            for at, name, share in ((1, "second", 4 / 9), (2, "third", 1 / 9))
        ),
    )


def moved(step: Estimate, name: str) -> float:
    """DRAM bytes that the kernels of this name read."""
    return float(sum(p.times * p.counts.read["dram"] for p in step.parts if p.name == name))


def hogwild(given: Given) -> tuple[Claim, ...]:
    """Four workers on one cache against one: keys and values read, and operations."""
    gpu, workers = given.device("l40s"), given("workers", 4)
    one, four = (
        predict(model("qwen2.5-7b", modifier=said).decode(1, 32768), gpu)
        for said in (None, f"hogwild:workers={workers}")
    )
    source = "follows from one cache read once for all; four workers, 32,768 tokens"
    keys = moved(four, "attention") / moved(one, "attention")
    return (
        Claim(
            *("Hogwild!", "keys and values read, of one worker's", 1, keys, 0.02, source),
            identity=True,
        ),
        Claim(
            *("Hogwild!", "operations, of one worker's", 4, float(four.flop / one.flop)),
            *(0.001, source),
            identity=True,
        ),
    )


def versatile(given: Given) -> tuple[Claim, ...]:
    """Loops of an MLP add no weights, and in decode less time than operations."""
    gpu, plain = given.device("h100"), model("llama-3.1-8b")
    once, often = (
        model("llama-3.1-8b", modifier=f"versatile-ffn:deep=1.0,loops={n}")
        for n in (1, given("loops", 4))
    )
    deep = plain.but(num_hidden_layers=given("layers of the plain one", 32))
    steps = [predict(each.decode(1, 4096), gpu) for each in (once, often)]
    seconds, done = (
        float(a / b)
        for a, b in ((steps[1].time_s, steps[0].time_s), (steps[1].flop, steps[0].flop))
    )
    return (
        Claim(
            *("VersatileFFN", "weights of four loops, of the plain model's", 1),
            *(often.weight_bytes / deep.weight_bytes, 0.01, "abstract: no weights are added"),
            within="the gate that chooses",
            identity=True,
        ),
        Claim(
            *("VersatileFFN", "time of a token, over its operations, four loops of one's", 1),
            *(seconds / done, 0.0, "abstract: less bound by memory", "most"),
        ),
    )


def duo_llm(given: Given) -> tuple[Claim, ...]:
    """Six layers, each with a big MLP, a small one or none: expected operations of a token.

    Against the mean over all 729 patterns, each a model of its own.
    """
    chances, width = {"big": 0.5, "small": 0.3, "none": 0.2}, 2816
    gpu = given.device("h200")
    mlps = {"big": {"block": "mlp"}, "small": {"block": "mlp", "width": width // 4}}
    heads = {"block": "attention"}
    kinds = {kind: [heads, *([mlps[kind]] if kind in mlps else [])] for kind in chances}
    taken, expected = (
        {**chances, "big": given("share of tokens that take the big one", 0.5, 0.4)},
        0.0,
    )
    for pattern, count in Counter(tuple(sorted(p)) for p in product(chances, repeat=6)).items():
        one = layered(**RECURSED, num_hidden_layers=6, kinds=kinds, layer_types=list(pattern))
        chance = prod(chances[kind] for kind in pattern)
        expected += count * chance * float(predict(one.decode(1, 512), gpu).flop)
    ways = {
        "layer": [
            heads,
            {"block": "choice", "ways": [{**mlps[n], "tokens": taken[n]} for n in mlps]},
        ]
    }
    ours = layered(**RECURSED, num_hidden_layers=6, kinds=ways)
    done = float(predict(ours.decode(1, 512), gpu).flop)
    return (
        Claim(
            *("Duo-LLM", "operations expected, of the mean of 729 patterns", 1, done / expected),
            *(0.001, "follows by hand; ours has a router, and the norm of tokens that skip"),
            identity=True,
        ),
    )


def hourglass(given: Given) -> tuple[Claim, ...]:
    """Blocks of as many parameters, wide-narrow-wide and narrow-wide-narrow: what they write."""
    shapes = {"wide": (4096, given("neck", 512), 8), "usual": (1024, 4096, 4)}
    gpu = given.device("h200")
    written: list[float] = []
    for hidden, inner, layers in shapes.values():
        sizes = {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers}
        ends = {"model_type": "residual_mlp", "inputs": 1024, "outputs": 1024}
        step = predict(model({**ends, **sizes, "torch_dtype": "bfloat16"}).prefill(4096, 1), gpu)
        parts = (p for p in step.parts if p.name in ("up", "down"))
        written.append(float(sum(p.times * p.counts.written["dram"] for p in parts)))
    said = "2 L (dz + dh) a token: 8 x 4,608 over 4 x 5,120"
    return (
        Claim(
            *("Hourglass MLP", "bytes of activations", 1.8, written[0] / written[1], 1e-6, said),
            identity=True,
        ),
    )


PROGRAMS = (
    *(block_transformer, positions, based_claims, recursions),
    *(hogwild, versatile, duo_llm, hourglass),
)
