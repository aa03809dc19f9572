"""Prompts apart from tokens, attention apart from weights: bytes shipped, and how late they are.

Splitwise (arXiv 2311.18677): a prompt of 1,500 tokens of BLOOM-176B between machines of eight A100,
by eight links of 200 Gb/s a machine; a token takes 48.8 ms there (median of its profile). Lamina
(2405.01814): keys and values of LLaMA3-70B, what its products do for each byte, what is sent to
devices that attend, and what two H100 with four H20 gain over four H100 on sequences of the Azure
conversations; at which rate an H20 reads caches is its own measurement. The gain of
Splitwise's pools on its own profile and trace is a test of `hwmodel.systems.serving.pools`. Nexus
(2507.06608): tokens beside prompts on halves of one GPU; device and sizes are priors.
"""

from typing import Any

from hwmodel.einsum.workloads.model import model
from hwmodel.machines.driver import predict
from hwmodel.systems.serving.attended import attended
from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.pools import Shipment
from hwmodel.systems.serving.shared import beside
from hwmodel.systems.serving.step_times import Largest, step_times
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
PRODUCTS = ("qkv", "attention output", "gate-up", "down")
"""Parts of a step that multiply weights of layers."""
H20_READS, ANSWER = 4 * 0.7 * 4e12, 211
"""Bytes/s at which four H20 read caches: 70 % of their DRAM's (measured there); tokens out."""
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
    """Bytes of keys and values of a request, and operations of products for each byte."""
    llama, tokens = model("llama-3.1-70b"), given("tokens", 8192)
    step = predict(llama.decode(given("batch", 100), 1024), given.device("h100"))
    products = [part for part in step.parts if part.name in PRODUCTS]
    flop = sum(float(part.times * (part.flop or 0.0)) for part in products)
    read = sum(float(part.times * part.counts.read["dram"]) for part in products)
    return (
        Claim(
            *("Lamina", "bytes of keys and values, 8,192 tokens, LLaMA3-70B", 2.68e9),
            *(float(llama.kv_bytes(1, tokens)), 1.86e-3, "paper: some 30 requests in 80 GB"),
        ),
        Claim(
            *(
                "Lamina",
                "FLOP a byte of products with weights, batch 100",
                100.0,
                flop / read,
                0.05,
            ),
            "paper: as many as sequences",
            within="activations, which are read too",
        ),
    )


def attention_apart(given: Given) -> tuple[Claim, ...]:
    """What a step sends, and sequences and tokens of devices that attend apart."""
    llama, gpu, tokens = model("llama-3.1-70b"), given.device("h100"), given("tokens", 1366)
    away = {"on": "h20", "devices": 4, "rate": given("rate of attention", H20_READS, 2 * H20_READS)}
    steps = attended(llama, gpu, away, parallel={"tp": 2}, tokens=2048)
    mean = tokens - ANSWER // 2
    whole = predict(llama.decode(1, mean, parallel={"tp": 4}), gpu, engine="vllm").serving
    assert whole is not None
    held = [steps.kv_tokens // tokens, int(whole.memory.kv_capacity_tokens or 0) // tokens]
    step = llama.decode(held[1], mean, parallel={"tp": 4})
    alone_s = float(predict(step, gpu, engine="vllm").sustained_time_s)
    rates = [held[0] / steps.seconds(Batch(held[0], held[0] * mean)), held[1] / alone_s]
    lamina, few = "Lamina", "2 H100 and 4 H20 over 4 H100"
    return (
        Claim(
            *(lamina, "bytes sent in a step of 300 sequences, LLaMA3-70B", 884.7e6),
            *(given("batch", 300) * steps.sent_bytes, 5.6e-5, "paper"),
        ),
        Claim(
            *(lamina, f"sequences at a time, {few}", 2.39, held[0] / held[1], 0.15, "paper: mean"),
            within="mean of four traces and three models",
        ),
        Claim(
            *(lamina, f"tokens a second, {few}", 1.161, rates[0] / rates[1], 0.0, "paper: least"),
            published_as="least",
            cause="products bind both from some hundred sequences on, and two H100 do half as many"
            " as four, whatever rate an H20 reads at; theirs is beside vLLM of 2024, ours of 2026",
        ),
    )


def nexus(given: Given) -> tuple[Claim, ...]:
    """How much slower tokens are beside prompts whose own keys grow."""
    machine, one = given.device("l40s"), model("llama-3.1-8b")
    half = machine.but(processors={"count": int(machine.processors.count) // 2})
    steps = step_times(one, half, largest=Largest(1024, 32, 16384), tolerance=0)
    decodes = given("sequences", 16)
    used = steps.dram_use(Batch(decodes, decodes * 1024))
    slow = [beside(used, steps.dram_use(_chunk(512, keys))) for keys in (2048, 10240)]
    return (
        Claim(
            *("Nexus", "tokens slower as keys of prompts beside go from 2,048 to 10,240", 0.36),
            *(slow[1] / slow[0] - 1, 0.2, "paper"),
            within="ten points of 36: device and sizes are priors",
            cause="attention of a long prompt uses less of the DRAM here, not more: what its reads"
            " of the L2 cost others is not modelled",
        ),
    )


def _chunk(tokens: int, keys: int) -> Batch:
    """A step that reads so many tokens of a prompt, the last of so many keys."""
    return Batch(prompts=1, new=tokens, pairs=tokens * (2 * keys - tokens + 1) // 2)


PROGRAMS = (splitwise, lamina, attention_apart, nexus)
