"""FuseMax's published figures, recomputed: latency, traffic, energy of four models at six lengths.

Nayak, Wu, Odemuyiwa, Pellauer, Emer, Fletcher, "FuseMax" (MICRO 2024, arXiv 2406.10491) and its
published artifact (results/*.csv). Encoder self-attention of a batch of 64 and the six linear
layers of a block, on FuseMax, on FLAT's machine with FLAT's fusion, and on that machine unfused.
The averages of the paper are arithmetic means over models and lengths.

Energy is predicted from our own access counts and tables at 45 nm, with nothing fitted to it. The
published totals rest on a buffer some fifty times as costly as the table that is shipped with them
says, and on the registers of a single element; so single totals differ by up to 9 %. With the
registers of one element alone, as they have it, those of FuseMax differ by 2 to 3 %: what is left
of theirs beside functional units, 67 to 81 pJ for each score of heads of 64 and 133 to 160 of 128,
is what Q, K and V take from the buffer, a word of each a column that 256 rows share (73, 146 pJ).
So are its mean ratios (2 %); with registers of all elements they are 2 to 7 % above the published.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.machines.spatial.area import areas_m2, sized
from hwmodel.spine.estimate import Estimate
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

PAPER = "FuseMax (arXiv 2406.10491)"
BATCH = 64
LENGTHS = tuple(1024 * 4**i for i in range(6))
Measure = Callable[[Given, str, str, int], float]
"""Of a setting, a model and a length."""


@dataclass(frozen=True)
class Model:
    """An encoder: heads, head dimension, width and hidden width of a block."""

    heads: int
    head_dim: int
    width: int
    hidden: int


MODELS = {
    "BERT": Model(12, 64, 768, 3072),
    "TrXL": Model(16, 64, 1024, 4096),
    "T5": Model(8, 64, 512, 2048),
    "XLM": Model(16, 128, 2048, 8192),
}


@dataclass(frozen=True)
class Setting:
    """A column of the paper's ablation: a machine and a binding."""

    machine: str
    binding: str
    buffer: str = ""
    one_element: bool = False
    """Whether registers are charged for one element of the 2D array alone."""

    def hardware(self, given: Given) -> Hardware:
        """The machine, with another buffer where the setting has one."""
        machine = given.device(self.machine)
        if self.one_element:
            array, register = machine.arrays["matrix"], machine.memory("register")
            elements = float(array.rows) * float(array.columns)
            share = float(register.energy_j_per_byte) / elements
            machine = machine.but(register={"energy_j_per_byte": share})
        return machine.but(buffer={"capacity": self.buffer}) if self.buffer else machine


ONE = "+Binding, registers of one element"
SETTINGS = {
    "unfused": Setting("flat", "unfused"),
    "FLAT": Setting("flat", "flat"),
    "+Cascade": Setting("flat", "flat-one-pass", buffer="16 MiB"),
    "+Architecture": Setting("fusemax", "fusemax-serial"),
    "+Binding": Setting("fusemax", "fusemax"),
    ONE: Setting("fusemax", "fusemax", one_element=True),
}


@dataclass(frozen=True)
class Totals:
    """Seconds, bytes across DRAM's boundary, and joules."""

    time_s: float
    moved_bytes: float
    energy_j: float


def attended(given: Given, setting: str, model: str, length: int) -> Estimate:
    """Attention of one model at one length."""
    shape, chosen = MODELS[model], SETTINGS[setting]
    kernel = _flat(shape, length) if setting == "FLAT" else chosen.binding
    work = attention(
        batch=given("batch", BATCH),
        heads=shape.heads,
        queries=length,
        keys=length,
        head_dim=given(f"width of a head, {model}", shape.head_dim),
    )
    return predict(work, chosen.hardware(given), kernel=kernel)


def _flat(shape: Model, length: int) -> str:
    """What FLAT's own search keeps in the buffer beside scores (flat_validation.csv): XLM alone."""
    if shape.head_dim == 64:
        return "flat"
    return "flat-keep-values" if length <= 4096 else "flat-keep-queries"


def linear(given: Given, machine: str, model: str, length: int) -> Totals:
    """Q, K, V, output and the two feed-forward layers of a block."""
    shape, rows = MODELS[model], given("batch", BATCH) * length
    inner = shape.heads * shape.head_dim
    layers = (
        (3, shape.width, inner),
        (1, inner, shape.width),
        (1, shape.width, shape.hidden),
        (1, shape.hidden, shape.width),
    )
    made = [(n, predict(gemm(M=rows, N=out, K=k), given.device(machine))) for n, k, out in layers]
    return Totals(
        time_s=float(sum(n * each.time_s for n, each in made)),
        moved_bytes=float(
            sum(n * (each.dram_bytes_read + each.dram_bytes_written) for n, each in made)
        ),
        energy_j=float(sum(n * each.energy_j for n, each in made)),
    )


def mean(of: Callable[[str, int], float]) -> float:
    """The arithmetic mean over models and lengths."""
    return float(np.mean([of(model, length) for model in MODELS for length in LENGTHS]))


def _attention_s(given: Given, setting: str, model: str, length: int) -> float:
    return float(given.once(attended, setting, model, length).time_s)


def _attention_j(given: Given, setting: str, model: str, length: int) -> float:
    return float(given.once(attended, setting, model, length).energy_j)


def _block_s(given: Given, setting: str, model: str, length: int) -> float:
    whole = given.once(linear, SETTINGS[setting].machine, model, length).time_s
    return _attention_s(given, setting, model, length) + whole


def _block_j(given: Given, setting: str, model: str, length: int) -> float:
    whole = given.once(linear, SETTINGS[setting].machine, model, length).energy_j
    return _attention_j(given, setting, model, length) + whole


def _ratio(given: Given, of: Measure, one: str, other: str) -> float:
    """Mean ratio of what two settings take."""
    return mean(lambda model, n: of(given, one, model, n) / of(given, other, model, n))


REFERENCE = (
    ("+Binding", "BERT", 1024, 2.013140425531915e-3, 402653184),
    ("+Binding", "BERT", 1024**2, 1891.8274331234043, 6803228196864),
    ("+Binding", "XLM", 1024**2, 4862.10858920851, 35734127902720),
    ("+Architecture", "BERT", 1024**2, 6277.962834791489, 6803228196864),
    ("+Architecture", "XLM", 1024, 0.01132936170212766, 1073741824),
    ("+Cascade", "BERT", 65536, 61.96414856170213, 115964116992),
    ("+Cascade", "XLM", 1024**2, 23485.817842927663, 70918499991552),
    ("FLAT", "BERT", 4096, 0.2141772255319149, 21128367461.209305),
    ("FLAT", "BERT", 1024**2, 16220.64, 6966711832018944),
    ("FLAT", "XLM", 16384, 4.569114144680851, 667973563909.8403),
    ("unfused", "BERT", 65536, 85.60936973617021, 26414048870400),
)
"""Setting, model, length: seconds and bytes in the artifact's results."""

JOULES = (
    ("BERT", 1024, 1.950645),
    ("BERT", 16384, 493.1091),
    ("BERT", 1024**2, 2.028813e6),
    ("XLM", 1024, 5.071623),
    ("XLM", 1024**2, 5.274894e6),
)
"""Model, length: joules of `+Binding` in the artifact's results."""

PARETO = (
    (16, 30266.668803268083, 5441230.48908),
    (64, 1891.8274331234043, 78369596.31228),
    (256, 118.2793728, 1220894441.8412402),
    (512, 29.583229276595745, 4885081008.9724),
)
"""Array side: seconds and um2 for BERT at 256 Ki tokens (pareto.csv)."""


def points(given: Given) -> list[Claim]:
    """Seconds and bytes of single points."""
    found: list[Claim] = []
    source = f"{PAPER}, artifact: attention results"
    for setting, model, length, seconds, size in REFERENCE:
        many = f"{length // 1024} Ki" if length < 1024**2 else f"{length // 1024**2} Mi"
        where = f"{setting}, {model}, {many} tokens"
        ours = attended(given, setting, model, length)
        moved = float(ours.dram_bytes_read + ours.dram_bytes_written)
        found += [
            Claim("FuseMax", f"{where}: seconds", seconds, float(ours.time_s), EXACT, source),
            Claim("FuseMax", f"{where}: DRAM bytes", size, moved, EXACT, source),
        ]
    return found


MEAN = f"{PAPER}, artifact: mean over 4 models x 6 lengths"


def means(given: Given) -> list[Claim]:
    """Mean speed-ups: of attention along the ablation, and of a block."""
    attention_only = (
        ("unfused", "FLAT", 1.507),
        ("FLAT", "+Cascade", 0.907),
        ("+Cascade", "+Architecture", 2.397),
        ("+Architecture", "+Binding", 3.026),
        ("FLAT", "+Binding", 6.7226),
        ("unfused", "+Binding", 10.052),
    )
    blocks = (("FLAT", "+Binding", 5.3017), ("unfused", "+Binding", 7.602))
    return [
        Claim(
            *("FuseMax", f"{what} speed-up, {slow} to {fast}", published),
            *(_ratio(given, of, slow, fast), 1e-3, MEAN),
            within="unfused scores of 1 Mi tokens, which its mapper spills",
        )
        for what, of, steps in (
            ("attention", _attention_s, attention_only),
            ("block", _block_s, blocks),
        )
        for slow, fast, published in steps
    ]


def energies(given: Given) -> list[Claim]:
    """Mean ratios of joules, and joules of points, registers counted as the artifact does."""
    published = (
        ("attention", "FLAT", _attention_j, 0.7875),
        ("block", "FLAT", _block_j, 0.8335),
        ("attention", "unfused", _attention_j, 0.7674),
        ("block", "unfused", _block_j, 0.821),
    )
    ours = "tables of joules at 45 nm are ours"
    found = [
        Claim(
            *("FuseMax", f"{what} energy over {other}'s", share),
            *(_ratio(given, of, ONE, other), 0.03, MEAN),
            within=ours,
        )
        for what, other, of, share in published
    ]
    return found + [
        Claim(
            *("FuseMax", f"{ONE}, {model}, {length // 1024} Ki tokens: joules", joules),
            *(_attention_j(given, ONE, model, length), 0.05),
            *(f"{PAPER}, artifact: attention results",),
            within=ours,
        )
        for model, length, joules in JOULES
    ]


def sides(given: Given, side: int) -> tuple[Hardware, Estimate]:
    """BERT at 256 Ki tokens on an array of this side, its buffer doubled until DRAM keeps pace."""
    work = attention(batch=BATCH, heads=12, queries=2**18, keys=2**18, head_dim=64)
    base, side = given.device("fusemax"), given(f"elements a side, {side}", side, side // 2)
    for doublings in range(12):
        machine = sized(base, side=side, head_dim=64, keys=2**18, doublings=doublings)
        found = predict(work, machine)
        if float(found.busy_s["dram"]) <= float(found.busy_s["vector"]):
            return machine, found
    raise AssertionError("twelve doublings make any of these buffers large enough")


def pareto(given: Given) -> list[Claim]:
    """Seconds and area by the side of the array."""
    found: list[Claim] = []
    source = f"{PAPER}, artifact: pareto.csv"
    for side, seconds, area in PARETO:
        machine, estimate = sides(given, side)
        ours = float(sum(areas_m2(machine).values())) * 1e12
        name = f"array of {side}, BERT, 256 Ki tokens"
        found += [
            Claim("FuseMax", f"{name}: seconds", seconds, float(estimate.time_s), EXACT, source),
            Claim(
                *("FuseMax", f"{name}: um2", area, ours, 0.01, source),
                within="the shipped table of areas, added up",
            ),
        ]
    return found


PROGRAMS = (points, means, energies, pareto)
