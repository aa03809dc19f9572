"""Sequence parallelism's largest batch and longest sequence beside tensor parallelism's, by memory.

Of the abstract (arXiv 2105.13120): 13.7 times the batch and 3.0 times the length on 64 P100 of
16 GB. Sizes are BERT-Base's, whose 12 heads let 12 devices divide tensors at the most, where 64
divide the tokens of a sequence. Ring self-attention keeps all scores, as attention by products
does. What fits is asked of `predict`, one batch or length after another; what a step keeps is a
matter of its tensors, so that an A100 with the memory of a P100 stands for it. Sequences are of 512
tokens, and batches of 64 where the longest is asked for: priors, the paper was not read further.
"""

from collections.abc import Callable
from typing import Any

from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.training import training
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim

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


def claims() -> tuple[Claim, ...]:
    """How many times the batch and the length fit."""
    batches, lengths = (
        [largest(fits) for fits in (_fits(by, over) for by in ("tp", "cp"))]
        for over in ("batch", "length")
    )
    rows = (
        ("largest batch over tensor parallelism's", 13.7, batches[1] / batches[0]),
        (
            "longest sequence over tensor parallelism's",
            *(3.0, TOKENS * lengths[1] / (TENSORS * lengths[0])),
        ),
    )
    source = "abstract: 64 P100; ours has the head's logits of all tokens too, in fp32"
    return tuple(Claim(SYSTEM, *row, 0.25, source) for row in rows)


def largest(fits: Callable[[int], bool]) -> int:
    """The largest number that fits, where all below it do; to half a percent."""
    low, high = 0, 1
    while fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _fits(by: str, over: str) -> Callable[[int], bool]:
    """Whether so many sequences fit, or so many tokens a device."""
    degree = {"tp": TENSORS, "cp": TOKENS}[by]
    bert = model(BERT, dtype="bf16")
    machine = device("a100").but(memories={"dram": {"capacity": "16 GB"}})

    def fits(size: int) -> bool:
        batch, length = (size, SEQUENCE) if over == "batch" else (BATCH, size * degree)
        kept: dict[str, Any] = {"micro_batch": batch, "dp": 1, by: degree}
        work: Any = training(bert, length, batch, attention="core", dropout=True, **kept)
        return bool(predict(work, machine).fits)

    return fits
