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
from hwmodel.validation.papers.given import Given

BLOOM: dict[str, Any] = {
    **{"model_type": "bloom", "hidden_size": 14336, "n_head": 112, "n_layer": 70},
    **{"vocab_size": 250880, "torch_dtype": "float16"},
}
LINK_BYTES_PER_S = 8 * 25e9
SOURCE = "paper: links of 8 x 200 Gb/s a machine"
TOKEN_S, PROMPT_S = 48.8e-3, 0.4
"""Of a token, and of a prompt of 1,500: between 289 ms at 1,024 and 540 at 2,048 (its profile)."""
SYNCHRONISED_S = 8e-3
"""What stays exposed of layers sent one by one, A100."""


def splitwise(given: Given) -> tuple[Claim, ...]:
    """Bytes of a prompt's cache; how much later the second token is."""
    bloom, tokens = model(BLOOM), given("tokens", 1500)
    each, rate = float(bloom.kv_bytes_per_token), given("bytes/s of a machine", LINK_BYTES_PER_S)
    whole = Shipment(each, 70, rate, by_layer=False)
    layers = Shipment(each, 70, rate, latency_s=SYNCHRONISED_S)
    late = [sent.exposed_s(tokens, PROMPT_S) / TOKEN_S for sent in (whole, layers)]
    share = "a figure of measurements, read from a plot"
    return (
        Claim(
            *("Splitwise", "bytes of a prompt of 1,500, BLOOM", 6.02e9),
            *(float(bloom.kv_bytes(1, tokens)), 8.3e-4, SOURCE),
        ),
        Claim(
            *("Splitwise", "second token later, serialised", 0.64, late[0], 0.05, SOURCE),
            within=share,
        ),
        Claim(
            *("Splitwise", "second token later, by layer", 0.165, late[1], 0.05, SOURCE),
            within=share,
        ),
    )


def lamina(given: Given) -> tuple[Claim, ...]:
    """Bytes of keys and values of a request."""
    llama, tokens = model("llama-3.1-70b"), given("tokens", 8192)
    return (
        Claim(
            *("Lamina", "bytes of keys and values, 8,192 tokens, LLaMA3-70B", 2.68e9),
            *(float(llama.kv_bytes(1, tokens)), 1.86e-3, "paper: some 30 requests in 80 GB"),
        ),
    )


PROGRAMS = (splitwise, lamina)
