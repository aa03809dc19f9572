"""Programs of model calls of the literature, by `hwmodel program`: FLOPs, calls, seconds.

Sources as far as they were read: Bottleneck Sampling (arXiv 2503.18940), EfficientVLA (2506.10100),
ATTS, ParallelSearch, Plan-and-Budget, Video Translation (2512.13904), compute-optimal test-time
scaling (Snell et al.): abstracts; Kinetics (2506.05333): its code, whose counts are compared. What
a paper leaves open is said in the claim. Where one is missed, it is shown so.
"""

from dataclasses import replace
from typing import Any

from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.systems.programs.priced import Priced, price
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

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
    ("qwen3-0.6b", 57.4, 9199.8, 28.5, 1073.9),
    ("qwen3-1.7b", 99.2, 9199.8, 70.3, 1073.9),
    ("qwen3-8b", 352.5, 11828.3, 278.2, 1380.7),
    ("qwen3-32b", 1372.5, 21028.2, 1108.4, 2454.6),
)
"""Model; eTFLOPs of computing and of reading keys and values for 16,384 tokens after 512, all keys
attended to, and 1,024 at most."""
FLOP_PER_BYTE = 562.5


def asked(steps: dict[str, Any], on: Hardware, models: dict[str, Any] | None = None) -> Priced:
    """A program priced."""
    return price({"models": models or {}, "steps": steps}, on)


def bottleneck(given: Given, config: str, tokens: int, low: int) -> Priced:
    """28 passes, of which `low` have a quarter of the tokens: half the side of the image."""
    steps: dict[str, Any] = {"high": {"model": "dit", "input": tokens, "repeat": 28 - low}}
    if low:
        steps["low"] = {
            "model": "dit",
            "input": tokens // given("tokens saved at half side", 4, 2),
            "repeat": low,
        }
    made = {"flux": FLUX, "video": VIDEO}[config]
    return asked(steps, given.device("h100"), {"dit": {"config": made, "dtype": "bf16"}})


def bottleneck_sampling(given: Given) -> tuple[Claim, ...]:
    """Multiplications saved by passes at half side, and what that is in time for FLUX.1-dev."""
    system = "Bottleneck Sampling"
    all_high = bottleneck(given, "video", QUADRATIC_TOKENS, 0).total.flop
    saved = (
        Claim(
            *(system, f"FLOPs saved, {low} of 28 passes at half side, 15 % of them attention's"),
            *(published, all_high / bottleneck(given, "video", QUADRATIC_TOKENS, low).total.flop),
            *(0.02, "derived: passes cost c1 n + c2 n^2"),
            within="the network's ends",
            identity=True,
        )
        for low, published in ((16, 1.80), (20, 2.25), (24, 3.00))
    )
    pixels = given("tokens of 1,024 x 1,024", 4096, 1024)
    full, mostly, all_low = (bottleneck(given, "flux", pixels, low) for low in (0, 24, 27))
    return (
        *saved,
        Claim(
            *(system, "FLUX.1-dev, speed-up, 24 of 28 passes at half side", 3.0),
            *(full.latency_s / mostly.latency_s, 0.1, "abstract: up to 3x"),
            within="the share of passes is not published",
            cause="its 512 tokens of text stay in every pass: even with 27 of 28 at half side"
            f" {full.latency_s / all_low.latency_s:.1f} come out",
        ),
        Claim(
            *(system, "FLUX.1-dev, FLOPs of a pass's matrices, 1,024 x 1,024", 59.52e12),
            *(matrices_flop(given, pixels), 1e-3, "diffusers' benchmark"),
            within="read as two a multiplication, fused attention uncounted, as its counter has it",
        ),
    )


def matrices_flop(given: Given, tokens: int) -> float:
    """FLOPs of a pass of FLUX.1-dev, of its products alone."""
    found = predict(model(FLUX, dtype="bf16").prefill(1, tokens), given.device("h100"))
    products = (part for part in found.parts if part.family.startswith("gemm"))
    return sum(float(part.flop or 0) * float(part.times) for part in products)


def vla(given: Given, layers: int, seen: int, passes: int) -> Priced:
    """CogACT: towers, a decoder of so many layers over `seen` tokens and 30 of text, actions."""
    models: dict[str, Any] = {
        "dino": {"config": DINOV2, "dtype": "bf16"},
        "siglip": {"config": SIGLIP, "dtype": "bf16"},
        "llama": {"config": model("llama-2-7b").but(num_hidden_layers=layers)},
        "actions": {"config": ACTION, "dtype": "bf16"},
    }
    return asked(
        {
            "see": {"model": "dino", "input": 257},
            "see more": {"model": "siglip", "input": 257},
            "think": {"model": "llama", "input": seen + given("tokens of text", 30, 40)},
            "act": {"model": "actions", "input": 16, "repeat": passes},
        },
        given.device("a100"),
        {name: {**each, "engine": "transformers"} for name, each in models.items()},
    )


def reused_s(given: Given) -> float:
    """Seconds of a pass of the action head that takes attention and MLPs from the one before."""
    whole = model(ACTION, dtype="bf16").prefill(1, 16)
    kept = (stage for stage in whole.stages if stage.name.startswith("final") or _runs(stage.role))
    step = replace(whole, stages=tuple(kept))
    return float(predict(step, given.device("a100"), engine="transformers").time_s)


def _runs(role: str) -> bool:
    """Whether a stage runs where what attention and MLPs made is at hand: vectors, gates, sums."""
    part, _, what = role.partition(".")
    return part not in ("attention", "mlp", "norm") and what not in ("scale", "shift")


def efficient_vla(given: Given) -> tuple[Claim, ...]:
    """Layers, tokens and passes of the action head left out; all by transformers."""
    whole, less = vla(given, 32, 256, 10), vla(given, 22, 56, 2)
    less_s = less.latency_s + 8 * reused_s(given)
    system, source = "EfficientVLA", "abstract"
    ours = "22 layers, 56 tokens, every fifth pass are second-hand"
    ratio = less.total.flop / whole.total.flop
    thought = next(leaf.total.flop for leaf in whole.steps if leaf.name == "think")
    return (
        Claim(
            *(system, "multiplications of the decoder, 256 tokens seen", 1.875e12, thought / 2),
            *(0.035, "derived: 1.81 to 1.94 T for 20 to 40 tokens of text"),
            within="the range of texts",
            identity=True,
        ),
        Claim(system, "FLOPs left", 0.289, ratio, 0.04 / 0.289, source, within=ours),
        Claim(
            *(system, "speed-up", 1.93, whole.latency_s / less_s, 0.15, source),
            within=ours,
        ),
    )


def atts(given: Given) -> tuple[Claim, ...]:
    """Chains of a small model judged by a large one, in rounds and without waiting."""
    models: dict[str, Any] = {
        "draft": {"config": "qwen2.5-1.5b"},
        "target": {"config": "llama-3.1-70b", "parallel": "tp=4"},
    }
    gpu, chains = given.device("a100"), given("chains", 16)
    chain: dict[str, Any] = {"model": "draft", "input": 200, "shared": 200, "output": 2000}
    judge: dict[str, Any] = {"model": "target", "input": 2200, "shared": 200, "copies": chains}
    rounds = asked({"draft": {**chain, "copies": chains, "cv": 0.6}, "judge": judge}, gpu, models)
    flowing = asked(
        {"draft": {**chain, "copies": chains}, "judge": {**judge, "after": []}}, gpu, models
    )
    return (
        Claim(
            *("ATTS", "throughput without barriers over that in rounds, 1.5B and 70B", 4.14),
            *(rounds.latency_s / flowing.latency_s, 0.1, "abstract: 4.14x"),
            within="lengths were not read: 16 chains of 2,000 tokens, deviation 60 %",
            cause="lengths are priors: the more they differ, the longer a round waits for its last",
        ),
    )


def parallel_search(given: Given) -> tuple[Claim, ...]:
    """Two questions one after another, each a call, or both in one call."""
    ask: dict[str, Any] = {"model": "qwen2.5-7b", "input": 600, "output": 100}
    look: dict[str, Any] = {"time": "300 ms"}
    answers, gpu = given("calls that answer", 1), given.device("h100")
    sequential = asked({"a": ask, "b": look, "c": ask, "d": look, "e": ask}, gpu)
    parallel = asked({"a": ask, "b": {**look, "copies": 2}, "e": {**ask, "repeat": answers}}, gpu)
    return (
        Claim(
            *("ParallelSearch", "calls of the model over sequential ones", 0.696),
            *(parallel.total.calls / sequential.total.calls, 0.05, "abstract: 69.6 %"),
            within="two questions side by side, which it does not say",
            identity=True,
        ),
    )


def plan_and_budget(given: Given) -> tuple[Claim, ...]:
    """39 % fewer tokens of reasoning."""
    gpu = given.device("h100")
    long, short = (
        asked({"think": {"model": "qwen3-14b", "input": 512, "output": tokens}}, gpu).latency_s
        for tokens in (given("tokens", 10_000), 6_100)
    )
    return (
        Claim(
            *("Plan-and-Budget", "seconds saved by 39 % fewer tokens", 0.39, 1 - short / long),
            *(0.0, "abstract: 39 % fewer tokens; keys grow, so that more is saved", "least"),
            identity=True,
        ),
    )


def kinetics(given: Given) -> tuple[Claim, ...]:
    """What is computed, and what reading keys and values costs at 562.5 FLOPs a byte."""
    found: list[Claim] = []
    tokens, gpu = given("tokens", 16384, 4096), given.device("h100")
    chosen = "task-kv:full=0,sinks=0,recent=0,middle=1024"
    for name, compute, memory, less_compute, less_memory in KINETICS:
        for keys, policy, done, read in (
            ("all keys", None, compute, memory),
            ("1,024 keys at most", chosen, less_compute, less_memory),
        ):
            step = {"think": {"model": "it", "input": 512, "output": tokens}}
            served = {"it": {"config": name, "cache_policy": policy}}
            total = asked(step, gpu, served).total
            equal = total.kv_bytes * given("FLOPs a byte", FLOP_PER_BYTE)
            config: Any = model(name).config
            table = gemm(M=tokens, N=config.vocab_size, K=config.hidden_size)
            made = total.made_flop + float(predict(table, gpu).flop or 0)
            found += [
                Claim(
                    *("Kinetics", f"{name}: eTFLOPs of computing, {keys}", done),
                    *(made / 1e12, 0.01, "code: 2 FLOPs a parameter, the embedding's too"),
                    within="its code takes rounded sizes",
                ),
                Claim(
                    *("Kinetics", f"{name}: eTFLOPs of keys and values, {keys}", read),
                    *(equal / 1e12, 1e-3, "code"),
                    within="contexts of its sum begin a token apart",
                ),
            ]
    return tuple(found)


def exchange(given: Given) -> tuple[Claim, ...]:
    """Tokens that a model 14 times smaller may spend at equal FLOPs of training and answering."""
    small, layers = model("llama-3.1-8b"), given("layers of the large one", 480)
    gpu = given.device("h100")
    large = small.but(num_hidden_layers=layers)  # with one head, 14 times the multiplications
    trained, made = (
        [
            asked(
                {"a": {"model": each, "input": 512, "cached": cached, "output": output}}, gpu
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
            *(53, times, 0.05, "6 N D and 2 N D': M + 3 (D / D') (M - 1) = 14 + 39"),
            within="attention and the head, which the formula leaves out",
            identity=True,
        ),
    )


def video_translation(given: Given) -> tuple[Claim, ...]:
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
    second_s, met = given("seconds of a segment", 5), given("who meet", 10)
    held = (
        Claim(
            *(system, f"seconds a second of speech, {on}", 1.0),
            *(asked(steps, given.device(on), models).latency_s / second_s, 0.0, source, "most"),
        )
        for on in ("rtx-4060", "t4", "a100")
    )
    all_pairs, in_turn = (
        asked({"all": {"steps": steps, "copies": copies}}, given.device("a100"), models).total.calls
        for copies in (met * (met - 1), met - 1)
    )
    return (
        *held,
        Claim(
            *(system, "calls, all pairs of ten over one who speaks", 10.0, all_pairs / in_turn),
            *(0.0, "N (N - 1) against N - 1 pipelines"),
            identity=True,
        ),
    )


PROGRAMS = (
    *(bottleneck_sampling, efficient_vla, atts, parallel_search),
    *(plan_and_budget, kinetics, exchange, video_translation),
)
