"""SpAtten (Wang, Zhang, Han, HPCA 2021, arXiv 2012.09852): cycles, power, and DRAM savings.

Cycles are those of its published simulator (mit-han-lab/spatten, no top-k) and must be equal. DRAM
savings are against all keys and values in 32 bits. Of its 30 benchmarks 8 are of GPT-2: for these
stand two published traces (29x and 9x), of which the sums over 32 generated tokens are given here.
For the 22 of BERT the paper's own mean factors of pruning are taken, and 8 bits.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.attention import attention
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.driver import predict
from hwmodel.machines.spatial.spatten import Layer, Pruning, layer, rates
from hwmodel.spine.activity import fold
from hwmodel.validation.papers.claim import Claim

SYSTEM = "SpAtten"
SIMULATOR = "published simulator, 12 heads, d = 64, 8 bits, no top-k"
FULL_BITS = 32
BENCHMARKS = {"bert": 22, "gpt-2": 8}
TOKEN_FACTORS = {"all": 1.9, "gpt-2": 3.8}
HEAD_FACTOR = 1.1
BERT_BITS = 8


@dataclass(frozen=True)
class Trace:
    """Rows of K and V that a published trace fetches, over all tokens, layers and heads.

    `dense` are those of K (and as many of V) without pruning; `again` rows of K with low bits too.
    """

    dense: int
    keys: int
    values: int
    again: int
    key_bits: int
    value_bits: int
    lsb_bits: int

    @property
    def reduction(self) -> float:
        """Bits of all rows in 32 bits over the bits fetched."""
        fetched = self.keys * self.key_bits + self.again * self.lsb_bits
        return 2 * self.dense * FULL_BITS / (fetched + self.values * self.value_bits)


TRACES = {
    "GPT-2 small, WikiText-2": Trace(4_647_168, 1_283_172, 255_180, 268_355, 6, 6, 4),
    "GPT-2 medium, WikiText-2": Trace(12_392_448, 6_143_004, 1_848_398, 0, 12, 8, 0),
}


def mix() -> float:
    """Mean reduction over the paper's 30 benchmarks."""
    tokens = sum(BENCHMARKS.values()) * TOKEN_FACTORS["all"]
    gpt2 = BENCHMARKS["gpt-2"]
    bert_tokens = (tokens - gpt2 * TOKEN_FACTORS["gpt-2"]) / BENCHMARKS["bert"]
    traced = [trace.reduction for trace in TRACES.values()]
    by_kind = {
        "bert": bert_tokens * HEAD_FACTOR * FULL_BITS / BERT_BITS,
        "gpt-2": sum(traced) / len(traced),
    }
    total = sum(count * by_kind[kind] for kind, count in BENCHMARKS.items())
    return total / sum(BENCHMARKS.values())


def claims() -> tuple[Claim, ...]:
    """Cycles, peak, power and DRAM savings."""
    chip = device("spatten")
    found: list[Claim] = []

    def row(quantity: str, published: float, ours: float, tolerance: float, source: str) -> None:
        found.append(Claim(SYSTEM, quantity, published, ours, tolerance, source))

    for queries, keys, cycles in (
        (128, 128, 25_079),
        (128, 64, 12_591),
        (512, 512, 394_919),
        (512, 256, 197_511),
    ):
        activity = layer(Layer(12, queries, keys, 64), Pruning(key_bits=8), limits(chip))
        ours = fold(activity, rates(chip)).time_s * chip.clock_hz
        row(f"cycles, {queries} queries, {keys} keys", cycles, float(ours), 1e-9, SIMULATOR)
    dense = attention(batch=1, heads=12, queries=128, keys=128, head_dim=64, dtype="int8")
    estimate = predict(dense, chip)
    watts = float(estimate.energy_j / estimate.time_s)
    row("watts at work (priors at 45 nm)", 8.30, watts, 0.3, "synthesis at 40 nm; DRAM in ours")
    row(
        "DRAM reduction, mean of 30",
        10.0,
        mix(),
        0.15,
        "abstract; ours from two traces, and factors for BERT",
    )
    return tuple(found)
