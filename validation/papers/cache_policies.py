"""Cache policies of the literature, by the verbs: bytes kept, and tokens a second at full memory.

Keyformer's abstract (arXiv 2403.09054): 2.4 times the throughput with half of the cache, of MPT-7B
among others on one A100 of 80 GB; contexts are not said there: 4,096 tokens are taken, and each
side has the largest batch that fits. RazorAttention's (arXiv 2407.15891): over 70 % less cache; its
own rule for local heads, a fifth of the context, comes to 68 % at most.
"""

from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim

MPT_7B: dict[str, Any] = {
    **{"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "expansion_ratio": 4},
    **{"vocab_size": 50432, "max_seq_len": 65536, "no_bias": True, "torch_dtype": "bfloat16"},
}
CONTEXT = 4096


def tokens_per_s(served: Model, on: str) -> float:
    """Tokens a second of decode, with the largest batch that fits."""
    one = predict(served.decode(1, CONTEXT), on).serving
    assert one is not None
    batch = one.memory.largest_batch
    return float(batch / predict(served.decode(batch, CONTEXT), on).time_s)


def claims() -> tuple[Claim, ...]:
    """Throughput with half of the cache; bytes saved by retrieval heads."""
    full, half = model(MPT_7B), model(MPT_7B, cache_policy="keyformer")
    gain = tokens_per_s(half, "a100") / tokens_per_s(full, "a100")
    razor = model(MPT_7B, cache_policy="razor-attention")
    saved = 1 - razor.kv_bytes(1, 65536) / full.kv_bytes(1, 65536)
    return (
        Claim(
            "Keyformer", "throughput, half of the cache", 2.4, gain, 0.25, "abstract; MPT-7B, A100"
        ),
        Claim("RazorAttention", "share of the cache saved", 0.70, float(saved), 0.05, "abstract"),
    )
