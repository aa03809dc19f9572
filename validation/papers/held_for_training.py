"""What training keeps, and what many tuned models are held in: WTA-CRS, ScaLearn, TALL-masks.

WTA-CRS (arXiv 2305.15265), the abstract: with adapters and 0.3 of the rows, up to 2.7 times less
memory at its peak, batches up to 6.4 times as large. Its T5 is an encoder with a decoder, which
steps of training lack: a decoder of some 3 billion parameters stands for it, in sequences of 128,
attention by its scores. Sizes, batch and GPU are priors.

ScaLearn, the abstract: 0.35 % of AdapterFusion's parameters for a task, or eight numbers. Both put
eight frozen adapters together, here behind each layer of BERT-base.

TALL-masks, the abstract: 20 tuned models in 8.2 in place of 57 Gb, as one merged model, the one
that all came from, and a bit of each weight for each task. Here of ViT-B.
"""

from typing import Any

from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

DECODER = {
    **{"model_type": "gpt2", "n_layer": 32, "n_embd": 2560, "n_head": 32, "n_positions": 2048},
    **{"vocab_size": 32_128, "torch_dtype": "bfloat16"},
}
BATCH, SEQUENCE, RANK, SHARE = 64, 128, 32, 0.3


def sampled_rows(given: Given) -> tuple[Claim, ...]:
    """Memory, and the largest batch, of adapters with sampled gradients over plain tuning."""
    ways: tuple[dict[str, Any], ...] = ({}, {"adapters": RANK, "sampled": SHARE})
    whole, less = (step(given, **way) for way in ways)
    batches = [
        (room(given) - held(each)) / (each.memory_bytes - held(each)) for each in (less, whole)
    ]
    priors = "a decoder stands for T5, and batch and GPU are priors"
    source = "abstract: up to"
    return (
        Claim(
            *("WTA-CRS", "peak memory over that with adapters and sampled rows", 2.7),
            *(whole.memory_bytes / less.memory_bytes, 0.15, source),
            within=priors,
        ),
        Claim(
            *("WTA-CRS", "largest batch over that of plain tuning", 6.4),
            *(batches[0] / batches[1], 0.25, source),
            within=priors,
            cause="inputs of products are less than half of what a layer keeps here, three quarters"
            " of it there",
        ),
    )


def step(given: Given, **way: Any) -> Any:
    """A step of tuning on one GPU."""
    batch = given("sequences", BATCH)
    how: dict[str, Any] = {"micro_batch": batch, "attention": "core", "dropout": True, **way}
    work: Any = training(DECODER, given("tokens", SEQUENCE), batch, **how)
    return predict(work, given.device("a100"))


def held(found: Any) -> float:
    """Bytes that do not grow with the batch."""
    return float(found.weights_bytes + found.gradients_bytes + found.optimizer_bytes)


def room(given: Given) -> float:
    """Bytes of the GPU."""
    return float(given.device("a100").memory("dram").capacity_bytes)


def tuned(given: Given, kind: str, **how: Any) -> float:
    """Parameters that a step trains, by the bytes of their gradients."""
    beside = {"kind": kind, "sources": given("adapters of other tasks", 8), **how}
    work: Any = training("bert-base", SEQUENCE, 1, adapters=beside)
    found: Any = predict(work, given.device("a100"))
    return float(found.gradients_bytes) / 4


def scaled(given: Given) -> tuple[Claim, ...]:
    """Parameters of a task."""
    vectors = tuned(given, "scaled") / tuned(given, "fusion")
    numbers = tuned(given, "scaled", each="number", shared=True)
    source = "abstract"
    return (
        Claim("ScaLearn", "parameters over AdapterFusion's", 0.0035, vectors, 0.014, source),
        Claim("ScaLearn", "parameters of all layers together", 8, numbers, EXACT, source),
    )


def masks(given: Given) -> tuple[Claim, ...]:
    """Bytes of tuned models over those of two models and a mask for each task."""
    tasks = given("tasks", 20)
    whole = model("vit-base", weight_dtype=given("weights", "fp32", "bf16")).weight_bytes
    mask = model("vit-base", weight_dtype="int1").weight_bytes
    return (
        Claim(
            *("TALL-masks, Consensus", "bytes of 20 models, over those of masks", 57 / 8.2),
            *(tasks * whole / (2 * whole + tasks * mask), 0.12, "abstract: 57 to 8.2 Gb"),
            within="what else its files hold was not read",
        ),
    )


PROGRAMS = (sampled_rows, scaled, masks)
