"""Prompts apart from tokens, attention apart from weights: bytes shipped, and how late they are.

Splitwise (arXiv 2311.18677): a prompt of 1,500 tokens of BLOOM-176B between machines of eight A100,
by eight links of 200 Gb/s a machine; a token takes 48.8 ms there (median of its profile). Lamina
(2405.01814): keys and values of LLaMA3-70B. The gain of Splitwise's pools on its own profile and
trace is a test of `hwmodel.systems.serving.pools`.
"""

from typing import Any

from hwmodel.einsum.workloads.model import model
from hwmodel.systems.serving.pools import Shipment
from hwmodel.validation.papers.claim import Claim

BLOOM: dict[str, Any] = {
    **{"model_type": "bloom", "hidden_size": 14336, "n_head": 112, "n_layer": 70},
    **{"vocab_size": 250880, "torch_dtype": "float16"},
}
LINK_BYTES_PER_S = 8 * 25e9
TOKEN_S, PROMPT_S = 48.8e-3, 0.4
"""Of a token, and of a prompt of 1,500: between 289 ms at 1,024 and 540 at 2,048 (its profile)."""
SYNCHRONISED_S = 8e-3
"""What stays exposed of layers sent one by one, A100."""


def claims() -> tuple[Claim, ...]:
    """Bytes of caches; how much later the second token is."""
    bloom, llama = model(BLOOM), model("llama-3.1-70b")
    each = float(bloom.kv_bytes_per_token)
    whole = Shipment(each, 70, LINK_BYTES_PER_S, by_layer=False)
    layers = Shipment(each, 70, LINK_BYTES_PER_S, latency_s=SYNCHRONISED_S)
    late = [sent.exposed_s(1500, PROMPT_S) / TOKEN_S for sent in (whole, layers)]
    source = "paper: links of 8 x 200 Gb/s a machine"
    return (
        Claim("Splitwise", "bytes of a prompt of 1,500, BLOOM", 6.02e9, 1500 * each, 1e-3, source),
        Claim("Splitwise", "second token later, serialised", 0.64, late[0], 0.1, source),
        Claim("Splitwise", "second token later, by layer", 0.165, late[1], 0.1, source),
        Claim(
            *("Lamina", "bytes of keys and values, 8,192 tokens, LLaMA3-70B", 2.68e9),
            *(float(llama.kv_bytes(1, 8192)), 5e-3, "paper: some 30 requests in 80 GB"),
        ),
    )
