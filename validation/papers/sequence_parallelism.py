"""Sequence parallelism's largest batch and longest sequence beside tensor parallelism's, by memory.

Of the abstract (arXiv 2105.13120): 13.7 times the batch and 3.0 times the length on 64 P100 of
16 GB. Sizes are BERT-Base's, whose 12 heads let 12 devices divide tensors at the most, where 64
divide the tokens of a sequence. Ring self-attention keeps all scores, as attention by products
does. What fits is asked of `predict`, one batch or length after another; what a step keeps is a
matter of its tensors, so that an A100 with the memory of a P100 stands for it. Sequences are of 512
tokens, and batches of 64 where the longest is asked for: priors, the paper was not read further.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.training import training
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "Sequence Parallelism (arXiv 2105.13120)"
SEQUENCE, BATCH = 512, 64
TENSORS, TOKENS = 12, 64
"""Devices that divide tensors: a head each; and tokens."""
VOCABULARY = 30_528
"""BERT's 30,522, padded to a multiple of 12."""

BERT = {
    **{"model_type": "bert", "num_hidden_layers": 12, "hidden_size": 768, "torch_dtype": "float16"},
    **{"num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": VOCABULARY},
    **{"max_position_embeddings": SEQUENCE, "type_vocab_size": 2},
}


def reach(given: Given) -> tuple[Claim, ...]:
    """How many times the batch and the length fit."""
    batches, lengths = (
        [largest(*_needed(given, by, over)) for by in ("tp", "cp")] for over in ("batch", "length")
    )
    times = given("devices that divide tokens", TOKENS, 16) / TENSORS
    rows = (
        (
            *("largest batch over tensor parallelism's", 13.7, batches[1] / batches[0]),
            "ours has logits of all tokens too, in fp32: without the head 13.2 times as many fit",
        ),
        ("longest sequence over tensor parallelism's", 3.0, times * lengths[1] / lengths[0], ""),
    )
    return tuple(
        Claim(
            *(SYSTEM, quantity, published, ours, 0.2, "abstract: 64 P100"),
            within="sequences of 512 tokens and batches of 64 are priors",
            cause=cause,
        )
        for quantity, published, ours, cause in rows
    )


def largest(needed: Callable[[int], float], room: float) -> int:
    """The largest number whose need, which grows with it, has room; to half a percent."""
    low, high = 0, 1
    while needed(high) <= room:
        low, high = high, 8 * high
    while high - low > max(1, low // 200):
        few, many = needed(low) if low else 0.0, needed(high)
        guess = low + int((high - low) * (room - few) / (many - few))
        middle = min(max(guess, low + 1), high - 1)
        low, high = (middle, high) if needed(middle) <= room else (low, middle)
        if high - low > max(1, low // 200) and needed(low + max(1, low // 200)) > room:
            return low
    return low


def _needed(given: Given, by: str, over: str) -> tuple[Callable[[int], float], float]:
    """Bytes of a device for so many sequences, or so many tokens a device; and what it has."""
    degree = {"tp": TENSORS, "cp": given("devices that divide tokens", TOKENS, 16)}[by]
    bert = model(BERT, dtype="bf16")
    machine = given.device(device("a100").but(memories={"dram": {"capacity": "16 GB"}}))

    @cache
    def needed(size: int) -> float:
        batch, length = (size, SEQUENCE) if over == "batch" else (BATCH, size * degree)
        kept: dict[str, Any] = {"micro_batch": batch, "dp": 1, by: degree}
        work: Any = training(bert, length, batch, attention="core", dropout=True, **kept)
        step: Any = predict(work, machine)
        return float(step.memory_bytes)

    return needed, float(machine.memory("dram").capacity_bytes)


PROGRAMS = (reach,)
