"""Cache policies of the literature, by the verbs: bytes kept, and tokens a second at full memory.

Keyformer's abstract (arXiv 2403.09054): 2.4 times the throughput with half of the cache, of MPT-7B
among others on one A100 of 80 GB; contexts are not said there: 4,096 tokens are taken, and each
side has the largest batch that fits. RazorAttention's (arXiv 2407.15891): over 70 % less cache; its
own rule for local heads, a fifth of the context, comes to 68 % at most.
"""

from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

MPT_7B: dict[str, Any] = {
    **{"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "expansion_ratio": 4},
    **{"vocab_size": 50432, "max_seq_len": 65536, "no_bias": True, "torch_dtype": "bfloat16"},
}


def tokens_per_s(served: Model, context: int, on: Hardware) -> float:
    """Tokens a second of decode, with the largest batch that fits."""
    one = predict(served.decode(1, context), on).serving
    assert one is not None
    batch = one.memory.largest_batch
    return float(batch / predict(served.decode(batch, context), on).time_s)


def keyformer(given: Given) -> tuple[Claim, ...]:
    """Throughput with half of the cache, and the cache itself."""
    gpu, context = given.device("a100"), given("context", 4096)
    full, half = (
        model(MPT_7B),
        model(MPT_7B, cache_policy=f"keyformer:share={given('kept', 0.5, 0.25)}"),
    )
    gain = tokens_per_s(half, context, gpu) / tokens_per_s(full, context, gpu)
    return (
        Claim(
            *("Keyformer", "throughput, half of the cache", 2.4, gain, 0.2),
            "abstract: MPT-7B among others, one A100 of 80 GB",
            within="contexts are not said: from 2 Ki tokens on",
        ),
        Claim(
            *(
                "Keyformer",
                "cache kept",
                0.5,
                float(half.kv_bytes(1, context) / full.kv_bytes(1, context)),
            ),
            *(EXACT, "abstract: half of the cache"),
            identity=True,
        ),
    )


def razor_attention(given: Given) -> tuple[Claim, ...]:
    """Bytes saved by retrieval heads."""
    context = given("context", 65536, 8192)
    full, razor = model(MPT_7B), model(MPT_7B, cache_policy="razor-attention")
    saved = 1 - razor.kv_bytes(1, context) / full.kv_bytes(1, context)
    return (
        Claim(
            *(
                "RazorAttention",
                "share of the cache saved",
                0.70,
                float(saved),
                0.0,
                "abstract: over 70 %",
                "least",
            ),
            cause="its own rule for local heads, a fifth of the context, leaves 0.15 + 0.85 x 0.2",
        ),
    )


PROGRAMS = (keyformer, razor_attention)
