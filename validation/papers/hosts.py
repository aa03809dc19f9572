"""Training with states in a host: ZeRO-Offload, MemAscend, by `predict` with `host`.

ZeRO-Offload (arXiv 2101.06840), the abstract: models of over 13 billion parameters on one V100,
where PyTorch trains 1.4 billion; 40 TFLOP/s at 10 billion, 30 without a host at 1.4 billion. Width,
sequence, batch, link and host were not read: GPTs of 64 heads of 64, 1,024 tokens, a link of 12
GB/s. MemAscend (arXiv 2505.23254), the abstract: 55.7 % less of the host's memory on average, by
buffers that fit, allocations that are not rounded, and a check that is fused; the models, batch and
group were not read.
"""

from typing import Any

from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

WIDTH, HEADS, SEQUENCE = 4096, 64, 1024
LINK = "12 GB/s"
OFFLOADED: dict[str, Any] = {"holds": "optimizer", "rate": LINK}
DRIVE: dict[str, Any] = {"holds": "optimizer+weights", "rate": "25 GB/s", "drive": "7 GB/s"}
LESS: dict[str, Any] = {"pool": "each", "pinned": "exact", "check": "none"}
MODELS = ("llama-3.1-8b", "qwen2.5-7b")


def gpt(layers: int, width: int = WIDTH) -> dict[str, Any]:
    """A GPT of so many layers."""
    sizes = {"n_layer": layers, "n_embd": width, "n_head": width // (WIDTH // HEADS)}
    return {"model_type": "gpt2", "n_positions": SEQUENCE, "vocab_size": 50_257, **sizes}


def step(given: Given, layers: int, width: int, batch: int, **how: Any) -> Any:
    """A step of one V100 with whole layers computed again."""
    tokens = given("tokens", SEQUENCE, 4 * SEQUENCE)
    sizes: dict[str, Any] = {"micro_batch": batch, "dtype": "fp16", "recompute": "full"}
    sizes |= {"attention": "core", **how}
    work: Any = training(gpt(layers, width), tokens, batch, **sizes)
    return predict(work, given.device("v100"))


def billions(found: Any) -> float:
    """Parameters that are trained, by the bytes of their weights in 16 bits."""
    return float(found.weights_bytes) / 2e9


def largest(given: Given, width: int, **how: Any) -> float:
    """Billions of parameters of the deepest GPT of a width that fits."""
    low, high = 1, 128
    while high - low > 1:
        middle = (low + high) // 2
        found = step(given, middle, width, 1, **how)
        low, high = (middle, high) if found.fits else (low, middle)
    return billions(step(given, low, width, 1, **how))


def offloaded(given: Given) -> tuple[Claim, ...]:
    """The largest models of a V100, and the rates of two."""
    plain = largest(given, 2048)
    away = largest(given, WIDTH, host=OFFLOADED)
    rates = [
        float(found.model_flops) / float(found.step_time_s) / 1e12
        for found in (step(given, 50, WIDTH, 10, host=OFFLOADED), step(given, 24, 2048, 4))
    ]
    source, priors = "abstract", "width, batch, link and host are priors"
    return (
        Claim(
            *("ZeRO-Offload", "billions of parameters on a V100, states in the host", 13.0),
            *(away, 0.2, "abstract: over 13"),
            within="what a framework keeps beside",
            cause="what PyTorch kept beside is not in ours, as without a host",
        ),
        Claim(
            *("ZeRO-Offload", "billions of parameters on a V100, without", 1.4, plain, 0.2),
            source,
            within="what a framework keeps beside",
            cause="one sequence here, of which layers keep their inputs alone, and 18 bytes of a"
            " parameter: PyTorch then kept gradients in 16 bits and again in 32",
        ),
        Claim(
            *("ZeRO-Offload", "rate at 10 billion parameters over that at 1.4 without", 40 / 30),
            *(rates[0] / rates[1], 0.2, source),
            within=priors,
        ),
        Claim(
            *("ZeRO-Offload", "TFLOP/s at 10 billion parameters", 40.0, rates[0], 0.2, source),
            within=priors,
            cause=f"without a host {rates[1]:.0f} come out, where 30 are published: no step of a"
            " V100 was fitted, its kernels are at their rates alone",
        ),
    )


def buffers(given: Given) -> tuple[Claim, ...]:
    """Bytes of the host's memory, with buffers that fit over those of powers of two."""
    ratios: list[float] = []
    for name in MODELS:
        work: Any = training(name, 4096, 1, host={**DRIVE, "buffers": given("buffers", 5)})
        fits = work.but(host={**work.host, **LESS})
        both: list[Any] = [predict(each, given.device("h100")) for each in (work, fits)]
        ratios.append(1 - both[1].host_bytes / both[0].host_bytes)
    return (
        Claim(
            *("MemAscend", "host's memory saved, models of 7 and 8 billion", 0.557),
            *(sum(ratios) / len(ratios), 0.15, "abstract: on average"),
            within="models, and gradients in fp32, are priors",
        ),
    )


PROGRAMS = (offloaded, buffers)
