"""Sparse and routed attention of the literature, by the verbs: modifiers of whole models.

Sources as far as they were read: PBS-Attn (arXiv 2510.21270), paper and code; SparseD (2509.24014),
abstract and README; Re-ttention (2505.22918), paper; Flux Attention (2604.07394) and ZipVL
(2410.08584), abstracts; VISOR (2603.23495), abstract, which has no figure. Kernels of blocks are a
prior (`block-sparse`), those that choose are plain torch's: papers fuse them. Where a density, a
share or a context is not published, what meets the figure is searched for, and named in the claim.
"""

from collections.abc import Callable, Iterable
from typing import Any

from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.spine.estimate import Estimate
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

LLAMA = "llama-3.1-8b"
DREAM: dict[str, Any] = {
    **{"model_type": "Dream", "hidden_size": 3584, "intermediate_size": 18944},
    **{"num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4},
    **{"vocab_size": 151936, "max_position_embeddings": 131072, "torch_dtype": "bfloat16"},
}
"""A bidirectional model of Qwen2.5-7B's sizes."""
VIDEO: dict[str, Any] = {
    **{"_class_name": "DiTTransformer2DModel", "num_layers": 30, "num_attention_heads": 30},
    **{"attention_head_dim": 64, "in_channels": 16, "sample_size": 64, "patch_size": 2},
}
"""A diffusion transformer of the sizes that diffusers' CogVideoX has by default."""
VIDEO_TOKENS = 13 * 30 * 45 + 226
"""13 latent frames of 480 x 720 in patches of 16 x 16 pixels, 226 tokens of text (diffusers)."""
ATTENDS = ("attention.scores", "attention.selection", "attention.correction")


def asked(step: Stack, on: Hardware) -> Estimate:
    """The answer for a step on as many devices as divide it."""
    return predict(step, on * int(step.devices))


def seconds(step: Stack, on: Hardware, roles: Iterable[str] = ATTENDS) -> float:
    """Seconds of the stages of some roles."""
    names = {stage.name for stage in step.stages if stage.role in roles}
    parts = (part for part in asked(step, on).parts if part.name in names)
    return sum(float(part.time_s * part.times) for part in parts)


def products(step: Stack, on: Hardware, roles: Iterable[str] = ("attention.scores",)) -> float:
    """Operations of the matrix unit in the stages of some roles (none: in all)."""
    names = {stage.name for stage in step.stages if not roles or stage.role in roles}
    return sum(
        float(count * part.times)
        for part in asked(step, on).parts
        if part.name in names
        for (unit, _, _), count in part.counts.operations.items()
        if unit == "matrix"
    )


def total(step: Stack, on: Hardware) -> float:
    """Seconds of all of it."""
    return float(asked(step, on).time_s)


def met(gain: Callable[[float], float], wanted: float) -> float:
    """The share at which a gain, which falls with it, is what is wanted, to a thousandth."""
    low, high = 0.001, 1.0
    while high - low > 0.0005:
        middle = (low + high) / 2
        low, high = (middle, high) if gain(middle) > wanted else (low, middle)
    return low


def pbs_attn(given: Given) -> tuple[Claim, ...]:
    """Density of one length; the density that the longest one needs."""
    plain, system, gpu = model(LLAMA), "PBS-Attn", given.device("h100")
    share, tokens = given("density at 8 Ki", 0.3231), given("tokens", 262144, 131072)
    short = [
        seconds(each.prefill(1, 8192), gpu, ("attention.scores",))
        for each in (plain.but(modifier=f"pbs-attn:density={share}"), plain)
    ]
    whole = total(plain.prefill(1, tokens, tp=2), gpu)

    def changed(density: float) -> Stack:
        return plain.but(modifier=f"pbs-attn:density={density}").prefill(1, tokens, tp=2)

    met_at = met(lambda share: whole / total(changed(share), gpu), 2.75)
    return (
        Claim(
            *(system, "attention's time, 8 Ki, blocks kept over blocks of the mask", 0.6363),
            *(short[0] / short[1], 0.02),
            "paper: density 32.31 % of all blocks; 65/128 are left by the mask",
            within="what a kernel does beside its blocks",
            identity=True,
        ),
        Claim(
            *(system, "times as fast, 256 Ki, two H100, density of 8 Ki", 2.75),
            *(whole / total(changed(share), gpu), 0.2, "abstract: up to 2.75x"),
            within="density is not published there: that of 8 Ki, 32 %, is taken",
            cause=f"longer sequences keep a smaller share: 2.75 need {met_at:.0%} here",
        ),
    )


def sparsed(given: Given) -> tuple[Claim, ...]:
    """A schedule of 1,024 passes, of which 205 attend in full and one of them makes patterns."""
    plain, system, tokens = model(DREAM), "SparseD", given("tokens", 65536)
    gpus = {name: given.device(name) for name in ("a100", "h100")}
    full_ones = given("passes in full of a thousand", 200)
    sparse, patterns = (plain.but(modifier=f"sparsed:pattern={n}") for n in (0, 1))

    def gain(
        cost: Callable[[Stack, Hardware], float], on: Hardware, passes: int, full: int
    ) -> float:
        each, later, first = (cost(one.prefill(1, tokens), on) for one in (plain, sparse, patterns))
        return passes * each / ((full - 1) * each + first + (passes - full) * later)

    return (
        Claim(
            *(system, "ceiling of attention alone, a fifth of the passes in full", 1 / 0.44),
            *(gain(products, gpus["a100"], 1000, full_ones), EXACT, "README: skip 0.2, select 0.3"),
            identity=True,
        ),
        *(
            Claim(
                *(system, f"64 Ki tokens, 1,024 passes, {on.upper()}", 1.5),
                *(gain(total, gpu, 1024, 205), 0.1),
                "abstract: up to 1.50x over FlashAttention; GPU not said there",
                within="kernels are FlexAttention's, ours blocks at FlashAttention-2's rate",
                cause="attention is a larger part of a pass there, and our blocks lose nothing"
                if on == "h100"
                else "",
            )
            for on, gpu in gpus.items()
        ),
    )


def re_ttention(given: Given) -> tuple[Claim, ...]:
    """CogVideoX' schedule: 50 passes, the first 15 and every fifth after them in full."""
    plain, system, on = model(VIDEO, dtype="bf16"), "Re-ttention", given.device("h100")
    tokens, first = given("tokens", VIDEO_TOKENS), given("first passes in full", 15)
    sparse = plain.but(modifier="re-ttention")
    steps = [each.prefill(2, tokens) for each in (plain, sparse)]
    full = sum(each < first or each % 5 == 0 for each in range(50))

    def mean(cost: Callable[[Stack, Hardware], float]) -> float:
        each, later = (cost(step, on) for step in steps)
        return (full * each + (50 - full) * later) / (50 * each)

    return (
        Claim(
            *(system, "self-attention's time saved, sparse pass", 0.92),
            1 - seconds(steps[1], on) / seconds(steps[0], on),
            *(0, "abstract: over 92 %", "least"),
        ),
        Claim(
            *(system, "mean attention of the schedule", 0.45736, mean(products), 1e-6),
            "paper: 22 of 50 passes in full, 3.1 % in the others",
            identity=True,
        ),
        Claim(
            *(system, "time of the schedule saved, 720 x 480, 49 frames", 0.45, 1 - mean(total)),
            *(0.0, "abstract: over 45 %", "least"),
            cause="attention by FlashAttention-2 is 69 % of a pass here and falls to 46 % of it on"
            " average: it had to be 83 %, twice as slow; whose kernel theirs is was not read",
        ),
    )


def flux_attention(given: Given) -> tuple[Claim, ...]:
    """As many full layers as the gain allows; layers against heads on devices."""
    plain, system, on = model(LLAMA), "Flux Attention", given.device("a100")
    tokens, divided = given("tokens", 262144, 131072), given("tokens on devices", 131072)

    def changed(layers: int, more: str = "") -> Model:
        return plain.but(modifier=f"flux-attention:full={layers / 32}{more}")

    def gain(layers: int) -> float:
        step = changed(layers).prefill(1, tokens)
        return total(plain.prefill(1, tokens), on) / total(step, on)

    full = max((n for n in range(33) if gain(n) >= 2.8), default=0)
    decode = [total(each.decode(1, tokens), on) for each in (plain, changed(full))]
    heads, layers = (
        seconds(changed(16, more).prefill(1, divided, tp=8), on) for more in (",by_head=1", "")
    )
    said = "abstract: up to"
    ours = "contexts are not said there; a window of 2,048 keys and an A100 are ours"
    return (
        Claim(
            *(
                system,
                f"decode, 256 Ki, with {full} of 32 layers full, at which prefill is 2.8x",
                2.0,
            ),
            *(decode[0] / decode[1], 0.15, said),
            within=ours,
        ),
        Claim(
            *(system, "heads over layers, half of them full, 8 devices", 2, heads / layers, 0.1),
            "derived: the longest of the devices over the mean",
            within="a window that costs nothing",
            identity=True,
        ),
    )


def zipvl(given: Given) -> tuple[Claim, ...]:
    """One share of important tokens for speed and memory; the model is LongVA's, Qwen2's 7B."""
    plain, system, on = model("qwen2.5-7b"), "ZipVL", given.device("a100")
    tokens = given("tokens", 448 * 1024, 224 * 1024)

    def changed(share: float) -> Model:
        return plain.but(modifier=f"zipvl:important={share}")

    def gain(share: float) -> float:
        return total(plain.prefill(1, tokens), on) / total(changed(share).prefill(1, tokens), on)

    def held(each: Model) -> float:
        memory = asked(each.decode(1, tokens), on).serving
        assert memory is not None
        return float(memory.memory.weights_bytes + memory.memory.kv_cache_bytes)

    share = met(gain, 2.6)
    name = f"448 Ki tokens, {share:.0%} of them important, at which prefill is 2.6x"
    said = "abstract: 2.6x and 50 % less memory"
    ours = "tokens are not said there; 4 and 2 bits are assumed"
    return (
        Claim(
            *(system, f"memory saved, {name}", 0.5, 1 - held(changed(share)) / held(plain)),
            *(0.1, said),
            within=ours,
        ),
    )


def visor(given: Given) -> tuple[Claim, ...]:
    """Layers that look in full cost alike; with all of them the model is the plain one."""
    plain, system, on = model("qwen2.5-7b"), "VISOR", given.device("a100")
    layers, crossed = given("layers that look in full", 28, 14), given("layers that look", 4)

    def cost(full: int, cross: int = crossed) -> float:
        step = plain.but(modifier=f"visor:image=2916,full={full},cross={cross}").prefill(1, 3172)
        return products(step, on, ())

    said = "derived: the abstract has no figure"
    return (
        Claim(
            *(system, "operations with all layers full, over the plain model's", 1),
            *(cost(layers, 0) / products(plain.prefill(1, 3172), on, ()), EXACT, said),
            identity=True,
        ),
        Claim(
            *(system, "the 16th full layer's operations, over the first's", 1),
            *((cost(15 + given("layers added", 1)) - cost(15)) / (cost(1) - cost(0)), EXACT, said),
            identity=True,
        ),
    )


PROGRAMS = (pbs_attn, sparsed, re_ttention, flux_attention, zipvl, visor)
