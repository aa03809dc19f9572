"""Megatron-LM's published figures of GPT models on A100, by `predict` of a step of training.

Two papers, as far as they are quoted in the tables that are read here (arXiv 2104.04473, table 1:
parameters, rates, batches; 2205.05198, in the configurations of calculon-ai/calculon: bytes of
activations, seconds with full and with selective recomputation). Attention is of that time: its
scores are products of their own, kept with the masks of dropout. The kernels' efficiencies are an
A100's, inherited from an H200; none was fitted to these steps.
"""

from functools import cache
from typing import Any

from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim

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


@cache
def _step(layers: int, width: int, heads: int, batch: int, **how: Any) -> Any:
    work: Any = training(
        gpt(layers, width, heads), SEQUENCE, batch, attention="core", dropout=True, **how
    )
    return predict(work, "a100")


def claims() -> tuple[Claim, ...]:
    """Parameters, FLOPs, rates, bubbles; bytes of activations and seconds of four models."""
    found: list[Claim] = []
    paper, later = "Megatron-LM (arXiv 2104.04473)", "Korthikanti et al. (arXiv 2205.05198)"
    for billions, heads, width, layers, tp, pp, gpus, batch, rate in RATES:
        name = f"{billions:g}B"
        parameters = model(gpt(layers, width, heads)).parameters / 1e9
        # Rounded to a tenth; the first is told with a padded vocabulary.
        found.append(Claim(paper, f"{name}: parameters", billions, parameters, 0.03, "table 1"))
        step = _step(layers, width, heads, batch, tp=tp, pp=pp, devices=gpus, recompute="full")
        # The table's rate counts each layer's forward pass twice, as it is computed again.
        again = 96 * batch * SEQUENCE * layers * width**2
        again *= 1 + SEQUENCE / (6 * width) + VOCABULARY / (16 * layers * width)
        reached = again / step.step_time_s / gpus / 1e12
        found.append(Claim(paper, f"{name}: TFLOP/s each", rate, reached, 0.15, "table 1"))
    trillion = _step(128, 25600, 160, 3072, tp=8, pp=64, devices=3072, recompute="full")
    found.append(
        Claim(paper, "1T: FLOPs of a step", 5.139e19, trillion.model_flops * 4 / 3, 1e-3, "eq. 3")
    )
    for name, layers, width, heads, tp, pp, batch, micro, vp, whole, lean, full_s, lean_s in MEMORY:
        how: dict[str, Any] = {"tp": tp, "pp": pp, "vp": vp, "dp": 1, "micro_batch": micro}
        shape = layers, width, heads, batch
        plain, full = _step(*shape, **how), _step(*shape, **how, recompute="full")
        thin = _step(*shape, **how, sp=True, recompute="selective")
        rows = (
            ("activations, GiB", whole, plain.activations_bytes / GIB, 1e-12),
            ("activations of the lean way, GiB", lean, thin.activations_bytes / GIB, 1e-12),
            ("step with full recomputation, s", full_s, full.step_time_s, 0.1),
            ("step of the lean way, s", lean_s, thin.step_time_s, 0.11),
        )
        found += [Claim(later, f"{name}: {what}", a, b, t, "tables") for what, a, b, t in rows]
    return tuple(found)
