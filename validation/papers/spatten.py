"""SpAtten (Wang, Zhang, Han, HPCA 2021, arXiv 2012.09852): cycles, power, DRAM, by `predict`.

Cycles are those of its published simulator (mit-han-lab/spatten, no top-k) and must be equal. DRAM
savings are against all keys and values in 32 bits, the mean of 30 benchmarks, 22 of BERT and 8 of
GPT-2. Of the latter two published traces say which rows and bits are fetched (the machine's kernels
`gpt-2-small` and `gpt-2-medium` have the bits); of BERT the paper's mean factors are taken: of all
benchmarks tokens are 1.9 times those kept, of GPT-2's 3.8 times, and heads 1.1 times. All are means
over layers, of which the first ones prune nothing.
"""

from math import ceil
from typing import Any

from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.pruned import HEADS_FROM, TOKENS_FROM, pruned_attention
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "SpAtten"
SIMULATOR = "published simulator, 12 heads, d = 64, 8 bits, no top-k"
WIDE, STORED = 32, 8
"""Bits of an element that savings are told against, and of one that is fetched whole here."""
BERT_TOKENS, BERT_HEADS = 1.209, 1.1
"""Of tokens and heads over those kept: 30 benchmarks have 1.9, of which 8 of GPT-2 have 3.8."""
TRACES = (
    ("gpt-2-small", 12, 12, 1_283_172 / 4_647_168, 28.9),
    ("gpt-2-medium", 24, 16, 6_143_004 / 12_392_448, 8.26),
)
"""Kernel, layers, heads, rows of K that a trace of WikiText-2 fetches of all; 32 bits of all rows
of K and V over the bits that it fetches, the low ones of a head that asks for them too."""
GENERATED = 1024
"""Keys at the end of GPT-2's benchmark: 992 read and 32 made."""


def cycles(given: Given) -> tuple[Claim, ...]:
    """Cycles of a layer of attention."""
    chip, heads = given.device("spatten"), given("heads", 12)
    found: list[Claim] = []
    for queries, keys, published in (
        (128, 128, 25_079),
        (128, 64, 12_591),
        (512, 512, 394_919),
        (512, 256, 197_511),
    ):
        work = attention(
            batch=1, heads=heads, queries=queries, keys=keys, head_dim=64, dtype="int8"
        )
        ours = float(predict(work, chip).time_s * chip.clock_hz)
        name = f"cycles, {queries} queries, {keys} keys"
        found.append(Claim(SYSTEM, name, published, ours, EXACT, SIMULATOR))
    return tuple(found)


def power(given: Given) -> tuple[Claim, ...]:
    """Watts at work."""
    dense = attention(
        batch=1, heads=12, queries=given("queries", 128, 1), keys=128, head_dim=64, dtype="int8"
    )
    estimate = predict(dense, given.device("spatten"))
    return (
        Claim(
            *(SYSTEM, "watts at work", 8.30, float(estimate.energy_j / estimate.time_s), 0.2),
            "synthesis at 40 nm",
            within="joules are priors at 45 nm, and DRAM is in ours",
            cause="joules are priors at 45 nm, theirs of a synthesis at 40; DRAM is in ours",
        ),
    )


def savings(given: Given) -> tuple[Claim, ...]:
    """DRAM bytes, mean of 30 benchmarks."""
    chip = given.device("spatten")
    fewer = given("times fewer tokens of BERT", BERT_TOKENS, 1.1)
    of_bert = _saved(chip, "dense", None, (12, 12), 1 / fewer, 1 / BERT_HEADS)
    of_gpt = [
        _saved(
            chip, kernel, 1, (layers, heads), given(f"rows kept, {kernel}", share, 1.1 * share), 1.0
        )
        for kernel, layers, heads, share, _ in TRACES
    ]
    mean = (22 * of_bert + 8 * sum(of_gpt) / len(of_gpt)) / 30
    traced = (
        Claim(
            *(SYSTEM, f"DRAM reduction, {kernel} on WikiText-2", published, ours, 0.1),
            "published trace, its rows and bits added up",
            within="rows come in lines of eight keys, shares fall evenly, dropped heads are rows",
        )
        for (kernel, *_, published), ours in zip(TRACES, of_gpt, strict=True)
    )
    return (
        *traced,
        Claim(
            *(SYSTEM, "DRAM reduction, mean of 30", 10.0, mean, 0.15, "abstract"),
            within="BERT's bits and lengths were not read: 8 bits, 128 tokens",
        ),
    )


def _saved(
    chip: Hardware, kernel: str, queries: int | None, shape: tuple[int, int], *kept: float
) -> float:
    """Bytes of keys and values in 32 bits without pruning over those fetched with it."""
    layers, heads = shape
    sizes: dict[str, Any] = {
        "layers": layers,
        "batch": 1,
        "heads": heads,
        "head_dim": 64,
        "queries": queries,
    }
    keys = 128 if queries is None else GENERATED
    tokens = _once_begun(kept[0], layers, TOKENS_FROM)
    lanes = _once_begun(kept[1], layers, HEADS_FROM)
    dense = predict(pruned_attention(keys=keys, **sizes), chip)
    pruned = pruned_attention(
        keys=keys, token_keep=tokens, head_keep=lanes, start=min(1.0, 1.9 * tokens), **sizes
    )
    fetched = predict(pruned, chip, kernel=kernel)
    rows = (float(each.dram_bytes_read) for each in (dense, fetched))
    whole, part = rows
    return WIDE / STORED * whole / part


def _once_begun(share: float, layers: int, after: float) -> float:
    """The mean of the layers that prune, of that of all: the first ones keep everything."""
    first = ceil(after * layers)
    return (share * layers - first) / (layers - first)


PROGRAMS = (cycles, power, savings)
