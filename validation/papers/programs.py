"""Programs of model calls of the literature, by `hwmodel program`: FLOPs, calls, seconds.

Sources as far as they were read: Bottleneck Sampling (arXiv 2503.18940), EfficientVLA (2506.10100),
ATTS, ParallelSearch, Plan-and-Budget, Video Translation (2512.13904), compute-optimal test-time
scaling (Snell et al.): abstracts; Kinetics (2506.05333): its code, whose counts are compared. What
a paper leaves open is said in the claim. Where one is missed, it is shown so.
"""

from functools import cache
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.model import model
from hwmodel.systems.programs.priced import Priced, price
from hwmodel.validation.papers.claim import Claim

FLUX: dict[str, Any] = {
    **{"_class_name": "FluxTransformer2DModel", "num_layers": 19, "num_single_layers": 38},
    **{"attention_head_dim": 128, "num_attention_heads": 24, "guidance_embeds": True},
}
VIDEO: dict[str, Any] = {
    **{"_class_name": "DiTTransformer2DModel", "num_layers": 30, "num_attention_heads": 30},
    **{"attention_head_dim": 64, "in_channels": 16, "sample_size": 64, "patch_size": 2},
}
"""A diffusion transformer without text among its tokens."""
QUADRATIC_TOKENS = 2032
"""At which 15 % of its multiplications are attention's: n / (6 x 1920 + n)."""
DINOV2: dict[str, Any] = {
    **{"model_type": "dinov2", "hidden_size": 1024, "num_hidden_layers": 24, "patch_size": 14},
    **{"num_attention_heads": 16, "image_size": 224, "mlp_ratio": 4},
}
SIGLIP: dict[str, Any] = {
    **{"model_type": "vit", "hidden_size": 1152, "num_hidden_layers": 27, "patch_size": 14},
    **{"num_attention_heads": 16, "intermediate_size": 4304, "image_size": 224},
}
ACTION: dict[str, Any] = {
    **{"_class_name": "DiTTransformer2DModel", "num_layers": 12, "num_attention_heads": 12},
    **{"attention_head_dim": 64, "in_channels": 4, "sample_size": 8, "patch_size": 2},
}
KINETICS = (
    ("qwen3-0.6b", 57.4, 9200.4),
    ("qwen3-8b", 352.5, 11831.1),
    ("qwen3-32b", 1372.5, 21039.6),
)
"""Model, eTFLOPs of computing and of reading keys and values: 16,384 tokens after 512."""
FLOP_PER_BYTE = 562.5


def asked(steps: dict[str, Any], on: str, models: dict[str, Any] | None = None) -> Priced:
    """A program priced."""
    return price({"models": models or {}, "steps": steps}, on)


@cache
def bottleneck(config: str, tokens: int, low: int) -> Priced:
    """28 passes, of which `low` have a quarter of the tokens: half the side of the image."""
    steps: dict[str, Any] = {"high": {"model": "dit", "input": tokens, "repeat": 28 - low}}
    if low:
        steps["low"] = {"model": "dit", "input": tokens // 4, "repeat": low}
    made = {"flux": FLUX, "video": VIDEO}[config]
    return asked(steps, "h100", {"dit": {"config": made, "dtype": "bf16"}})


def bottleneck_sampling() -> tuple[Claim, ...]:
    """Multiplications saved by passes at half side, and what that is in time for FLUX.1-dev."""
    system = "Bottleneck Sampling"
    all_high = bottleneck("video", QUADRATIC_TOKENS, 0).total.flop
    saved = (
        Claim(
            *(system, f"FLOPs saved, {low} of 28 passes at half side, 15 % of them attention's"),
            *(published, all_high / bottleneck("video", QUADRATIC_TOKENS, low).total.flop, 0.02),
            "derived: passes cost c1 n + c2 n^2",
        )
        for low, published in ((16, 1.80), (20, 2.25), (24, 3.00))
    )
    full, mostly = bottleneck("flux", 4096, 0), bottleneck("flux", 4096, 24)
    return (
        *saved,
        Claim(
            *(system, "FLUX.1-dev, speed-up, 24 of 28 passes at half side", 3.0),
            *(full.latency_s / mostly.latency_s, 0.1),
            "abstract: up to 3x; share of passes not published; its 512 tokens of text stay",
        ),
        Claim(
            *(system, "FLUX.1-dev, multiplications of a pass, 1,024 x 1,024", 59.52e12),
            *(full.total.flop / 2 / 28, 0.08),
            "diffusers' benchmark; why it has more than its matrices come to is not known",
        ),
    )


def vla(layers: int, seen: int, passes: int) -> Priced:
    """CogACT: towers, a decoder of so many layers over `seen` tokens and 30 of text, actions."""
    llama = model("llama-2-7b").but(num_hidden_layers=layers)
    return asked(
        {
            "see": {"model": DINOV2 | {"torch_dtype": "bfloat16"}, "input": 257},
            "see more": {"model": SIGLIP | {"torch_dtype": "bfloat16"}, "input": 257},
            "think": {"model": llama, "input": seen + 30},
            "act": {"model": model(ACTION, dtype="bf16"), "input": 16, "repeat": passes},
        },
        "a100",
    )


def efficient_vla() -> tuple[Claim, ...]:
    """Layers, tokens and passes of the action head left out."""
    whole, less, system = vla(32, 256, 10), vla(22, 56, 2), "EfficientVLA"
    source = "abstract; 22 layers, 56 tokens, every fifth pass; GPU not said: A100"
    ratio = less.total.flop / whole.total.flop
    thought = next(leaf.total.flop for leaf in whole.steps if leaf.name == "think")
    return (
        Claim(
            *(system, "multiplications of the decoder, 256 tokens seen", 1.875e12, thought / 2),
            *(0.035, "derived: 1.81 to 1.94 T for 20 to 40 tokens of text"),
        ),
        Claim(system, "FLOPs left", 0.289, ratio, 0.04 / 0.289, source),
        Claim(system, "speed-up", 1.93, whole.latency_s / less.latency_s, 0.15, source),
    )


def atts() -> tuple[Claim, ...]:
    """Chains of a small model judged by a large one, in rounds and without waiting."""
    models: dict[str, Any] = {
        "draft": {"config": "qwen2.5-1.5b"},
        "target": {"config": "llama-3.1-70b", "parallel": "tp=4"},
    }
    chain: dict[str, Any] = {"model": "draft", "input": 200, "shared": 200, "output": 2000}
    judge: dict[str, Any] = {"model": "target", "input": 2200, "shared": 200, "copies": 16}
    rounds = asked({"draft": {**chain, "copies": 16, "cv": 0.6}, "judge": judge}, "a100", models)
    flowing = asked(
        {"draft": {**chain, "copies": 16}, "judge": {**judge, "after": []}}, "a100", models
    )
    return (
        Claim(
            *("ATTS", "throughput without barriers over that in rounds, 1.5B and 70B", 4.14),
            *(rounds.latency_s / flowing.latency_s, 0.5),
            "abstract: 4.14x; lengths not read: 16 chains of 2,000 tokens, deviation 60 %; 2x to 6x"
            " is our range",
        ),
    )


def parallel_search() -> tuple[Claim, ...]:
    """Two questions one after another, each a call, or both in one call."""
    ask: dict[str, Any] = {"model": "qwen2.5-7b", "input": 600, "output": 100}
    look: dict[str, Any] = {"time": "300 ms"}
    sequential = asked({"a": ask, "b": look, "c": ask, "d": look, "e": ask}, "h100")
    parallel = asked({"a": ask, "b": {**look, "copies": 2}, "e": ask}, "h100")
    return (
        Claim(
            *("ParallelSearch", "calls of the model over sequential ones", 0.696),
            *(parallel.total.calls / sequential.total.calls, 0.05),
            "abstract: 69.6 %; two questions side by side, which it does not say",
        ),
    )


def plan_and_budget() -> tuple[Claim, ...]:
    """39 % fewer tokens of reasoning."""
    long, short = (
        asked({"think": {"model": "qwen3-14b", "input": 512, "output": tokens}}, "h100").latency_s
        for tokens in (10_000, 6_100)
    )
    return (
        Claim(
            *("Plan-and-Budget", "seconds saved by 39 % fewer tokens", 0.42, 1 - short / long),
            *(0.0715, "abstract: 39 % fewer tokens; 39 to 45 % is our range: keys grow"),
        ),
    )


def kinetics() -> tuple[Claim, ...]:
    """What is computed, and what reading keys and values costs at 562.5 FLOPs a byte."""
    found: list[Claim] = []
    context = 512 + np.arange(1, 16385, dtype=np.float64)
    for name, compute, memory in KINETICS:
        read = float(np.sum(model(name).kv_bytes(1, context)))
        step = {"think": {"model": name, "input": 512, "output": 16384}}
        done = asked(step, "h100").total.made_flop
        found += [
            Claim(
                *("Kinetics", f"{name}: eTFLOPs of computing, 16,384 tokens", compute),
                *(done / 1e12, 0.1, "code, which multiplies by the embedding's table too"),
            ),
            Claim(
                *("Kinetics", f"{name}: eTFLOPs of keys and values", memory),
                *(read * FLOP_PER_BYTE / 1e12, 1e-3, "code: sum over contexts"),
            ),
        ]
    return tuple(found)


def exchange() -> tuple[Claim, ...]:
    """Tokens that a model 14 times smaller may spend at equal FLOPs of training and answering."""
    small = model("llama-3.1-8b")
    large = small.but(num_hidden_layers=480)  # with one head, 14 times the multiplications
    trained, made = (
        [
            asked(
                {"a": {"model": each, "input": 512, "cached": cached, "output": output}}, "h100"
            ).total.flop
            / 512
            for each in (small, large)
        ]
        for cached, output in ((0, 0), (512, 512))
    )
    times = (3 * (trained[1] - trained[0]) + made[1]) / made[0]
    return (
        Claim(
            *("Snell et al.", "tokens of a model 14 times smaller, as many trained as answered"),
            *(14 + 3 * 13, times, 0.05, "6 N D and 2 N D': M + 3 (D / D') (M - 1)"),
        ),
    )


def video_translation() -> tuple[Claim, ...]:
    """Hearing, translating and speaking a segment of 5 s; pipelines of ten who meet."""
    models = {
        "ears": {"config": "whisper-large-v3", "dtype": "fp16"},
        "words": {"config": "llama-3.2-1b", "dtype": "fp16"},
        "voice": {"config": "qwen2.5-0.5b", "dtype": "fp16"},
    }
    steps: dict[str, Any] = {
        "hear": {"model": "ears", "input": 1500, "output": 20},
        "translate": {"model": "words", "input": 60, "output": 20},
        "speak": {"model": "voice", "input": 40, "output": 250},
    }
    system, source = "Video Translation", "abstract; models and segment are ours, lips left out"
    held = (
        Claim(
            *(system, f"seconds a second of speech, {on}", 1.0),
            *(asked(steps, on, models).latency_s / 5, 0.0, source, "most"),
        )
        for on in ("rtx-4060", "t4", "a100")
    )
    all_pairs, in_turn = (
        asked({"all": {"steps": steps, "copies": copies}}, "a100", models).total.calls
        for copies in (10 * 9, 9)
    )
    return (
        *held,
        Claim(
            *(system, "calls, all pairs of ten over one who speaks", 10.0, all_pairs / in_turn),
            *(0.0, "N (N - 1) against N - 1 pipelines"),
        ),
    )


def claims() -> tuple[Claim, ...]:
    """All of them."""
    return (
        *(*bottleneck_sampling(), *efficient_vla(), *atts(), *parallel_search()),
        *(*plan_and_budget(), *kinetics(), *exchange(), *video_translation()),
    )
