"""What training keeps, and what many tuned models are held in: WTA-CRS, ScaLearn, TALL-masks.

WTA-CRS (arXiv 2305.15265), the abstract: up to 2.7 times less memory at its peak, batches up to 6.4
times as large. Its repository (zirui-ray-liu/WTACRS) has T5 in sequences of 128, attention by its
scores, dropout, adapters of rank 32 beside products of attention alone; its configs go on to the
largest batches of T5-3B with a tenth of the rows. Its T5 is an encoder with a decoder, which steps
of training lack: a row of as many layers of the same sizes stands for both, in 16 bits on an A100.
The peak is taken with 0.3 of the rows, of T5-large: the largest whose plain step of 64 fits in
fp32.

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

SIZES = {"t5-large": (1024, 4096, 16, 64), "t5-3b": (1024, 16384, 32, 128)}
"""Hidden size, columns of the MLP, heads and their size; 24 layers on each side."""
BATCH, SEQUENCE, RANK = 64, 128, 32


def t5(name: str) -> dict[str, Any]:
    """Layers of a T5's sizes, all in one row, without its cross-attention."""
    hidden, inner, heads, size = SIZES[name]
    layer = [{"block": "attention"}, {"block": "plain_mlp", "width": inner}]
    return {
        **{"model_type": "layered", "hidden_size": hidden, "intermediate_size": inner},
        **{"num_attention_heads": heads, "num_key_value_heads": heads, "head_dim": size},
        **{"num_hidden_layers": 48, "hidden_act": "relu", "vocab_size": 32_128},
        **{"torch_dtype": "bfloat16", "kinds": {"layer": layer}},
    }


def sampled_rows(given: Given) -> tuple[Claim, ...]:
    """Memory, and the largest batch, of adapters with sampled gradients over plain tuning."""
    some, tenth = given("rows kept", 0.3), given("rows kept at the largest batch", 0.1)
    whole, less = step(given, "t5-large"), step(given, "t5-large", some)
    batches = [
        (room(given) - held(each)) / (each.memory_bytes - held(each))
        for each in (step(given, "t5-3b", tenth), step(given, "t5-3b"))
    ]
    priors = "layers of T5's sizes stand for it, and formats are priors"
    source = "abstract: up to"
    return (
        Claim(
            *("WTA-CRS", "peak memory over that with adapters and sampled rows", 2.7),
            *(whole.memory_bytes / less.memory_bytes, 0.15, source),
            within=priors,
        ),
        Claim(
            *("WTA-CRS", "largest batch over that of plain tuning", 6.4),
            *(batches[0] / batches[1], 0.2, source),
            within=priors,
        ),
    )


def step(given: Given, name: str, share: float = 1.0) -> Any:
    """A step of tuning on one GPU: of all weights, or of adapters with a share of the rows."""
    batch = given("sequences", BATCH)
    way: dict[str, Any] = {"micro_batch": batch, "attention": "core", "dropout": True}
    if share < 1:
        beside = {"kind": "lora", "width": given("rank", RANK), "on": "attention"}
        way |= {"adapters": beside, "sampled": share}
    work: Any = training(t5(name), given("tokens", SEQUENCE), batch, **way)
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
