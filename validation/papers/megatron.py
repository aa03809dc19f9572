"""Megatron-LM's published figures of GPT models on A100, by `predict` of a step of training.

Two papers, as far as they are quoted in the tables that are read here (arXiv 2104.04473, table 1:
parameters, rates, batches; 2205.05198, in the configurations of calculon-ai/calculon: bytes of
activations, seconds with full and with selective recomputation). Attention is of that time: its
scores are products of their own, kept with the masks of dropout. The kernels' efficiencies are an
A100's, inherited from an H200; none was fitted to these steps.
"""

from typing import Any

from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SEQUENCE, VOCABULARY = 2048, 51_200
GIB = 2**30

RATES = (
    (1.7, 24, 2304, 24, 1, 1, 32, 512, 137), (3.6, 32, 3072, 30, 2, 1, 64, 512, 138),
    (7.5, 32, 4096, 36, 4, 1, 128, 512, 142), (18.4, 48, 6144, 40, 8, 1, 256, 1024, 135),
    (39.1, 64, 8192, 48, 8, 2, 512, 1536, 138), (76.1, 80, 10240, 60, 8, 4, 1024, 1792, 140),
    (145.6, 96, 12288, 80, 8, 8, 1536, 2304, 148), (310.1, 128, 16384, 96, 8, 16, 1920, 2160, 155),
    (529.6, 128, 20480, 105, 8, 35, 2520, 2520, 163),
    (1008.0, 160, 25600, 128, 8, 64, 3072, 3072, 163),
)  # fmt: skip
"""Billions of parameters, heads, width, layers, tp, pp, GPUs, batch, TFLOP/s each."""

MEMORY = (
    ("22B", 48, 6144, 64, 8, 1, 4, 4, 1, 59.25, 9.5625, 1.42, 1.10),
    ("175B", 96, 12288, 96, 8, 8, 64, 1, 3, 66.84375, 12.3515625, 18.13, 13.75),
    ("530B", 105, 20480, 128, 8, 35, 280, 1, 3, 114.0234375, 23.076171875, 49.05, 37.83),
    ("1T", 128, 25600, 160, 8, 64, 512, 1, 1, 131.25, 26.5625, 94.42, 71.49),
)
"""Model, layers, width, heads, tp, pp, batch, micro-batch, chunks; GiB of activations with nothing
recomputed and tp alone, and with sequence parallelism and selective recomputation; seconds."""


def gpt(layers: int, width: int, heads: int) -> dict[str, Any]:
    """A GPT of that shape."""
    return {
        **{"model_type": "gpt2", "n_layer": layers, "n_embd": width, "n_head": heads},
        **{"n_positions": SEQUENCE, "vocab_size": VOCABULARY},
    }


def _step(given: Given, layers: int, width: int, heads: int, batch: int, **how: Any) -> Any:
    sequence = given("sequence", SEQUENCE)
    plain: dict[str, Any] = {"attention": "core", "dropout": True, "zero": 0}
    work: Any = training(gpt(layers, width, heads), sequence, batch, **plain, **how)
    return predict(work, given.device("a100"))


def executed(given: Given, step: Any, config: dict[str, Any], batch: int) -> float:
    """Operations of a step that runs every layer's forward pass twice, as the table counts them."""
    again = model(config).prefill(batch, given("sequence", SEQUENCE))
    return float(step.model_flops + predict(again, given.device("a100")).flop)


PAPER, LATER = "Megatron-LM (arXiv 2104.04473)", "Korthikanti et al. (arXiv 2205.05198)"
MASKED = "attention that is computed again is counted below its mask"


def sizes(given: Given) -> tuple[Claim, ...]:
    """Parameters of ten models."""
    return tuple(
        Claim(
            *(PAPER, f"{billions:g}B: parameters", billions),
            model(gpt(layers, given(f"width of {billions:g}B", width), heads)).parameters / 1e9,
            0.05 / billions,
            "table 1",
        )
        for billions, heads, width, layers, *_ in RATES
    )


def rates(given: Given) -> tuple[Claim, ...]:
    """Operations a second of a GPU, full recomputation, and those of a step of the largest."""
    found: list[Claim] = []
    for billions, heads, width, layers, tp, pp, gpus, batch, rate in RATES:
        how: dict[str, Any] = {"tp": tp, "pp": pp, "devices": gpus, "recompute": "full"}
        step = _step(given, layers, width, heads, batch, **how)
        done = executed(given, step, gpt(layers, width, heads), batch)
        reached = done / step.step_time_s / gpus / 1e12
        found.append(
            Claim(
                *(PAPER, f"{billions:g}B: TFLOP/s each", rate, reached, 0.15, "table 1"),
                within="kernels are an A100's inherited from an H200, none fitted to these steps",
            )
        )
        if billions == 1008.0:
            quantity = "1T: operations of a step"
            found.append(Claim(PAPER, quantity, 5.139e19, done, 2e-3, "eq. 3", within=MASKED))
    return tuple(found)


def memory(given: Given) -> tuple[Claim, ...]:
    """Bytes of activations, exactly, and seconds, of four models."""
    found: list[Claim] = []
    for name, layers, width, heads, tp, pp, batch, micro, vp, whole, lean, full_s, lean_s in MEMORY:
        how: dict[str, Any] = {"tp": tp, "pp": pp, "vp": vp, "dp": 1, "micro_batch": micro}
        shape = layers, width, heads, batch
        plain, full = _step(given, *shape, **how), _step(given, *shape, **how, recompute="full")
        thin = _step(given, *shape, **how, sp=True, recompute="selective")
        kept = (
            ("activations, GiB", whole, plain.activations_bytes / GIB),
            ("activations of the lean way, GiB", lean, thin.activations_bytes / GIB),
        )
        timed = (
            ("step with full recomputation, s", full_s, full.step_time_s),
            ("step of the lean way, s", lean_s, thin.step_time_s),
        )
        found += [Claim(LATER, f"{name}: {what}", a, b, EXACT, "tables") for what, a, b in kept]
        found += [
            Claim(
                *(LATER, f"{name}: {what}", a, b, 0.11, "tables"),
                within="another's clock; kernels are inherited from an H200",
            )
            for what, a, b in timed
        ]
    return tuple(found)


PROGRAMS = (sizes, rates, memory)
