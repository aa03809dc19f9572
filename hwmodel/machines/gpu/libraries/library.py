"""A kernel library as one value: what it runs, takes and costs, how it is measured and reported.

Everything that the package knows of a library hangs on its `Library`: predictions, refusals, the
order of fitting, the lines of the report and the cases of a sitting are read off these values. One
is passed as it is (`predict(work, on, kernel=MINE)`) or by an importable name, `"module:NAME"`,
which also crosses to worker processes and stands in the `kernel` column of measured rows. Those
that are shipped are listed in `shipped.py`; nothing is registered, and nothing changes later.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.calibration import PRIOR, Family, Parameter
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.regimes import WIDE_GROUP, Regime
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity
from hwmodel.text.shown import Shown

BLACKWELL = ("blackwell", "blackwell-rtx")
"""Data-centre parts (sm_100), which have tensor memory, and those of workstations (sm_120)."""
NVIDIA = ("ampere", "ada", "hopper", *BLACKWELL)
BEFORE_AMPERE = ("volta", "turing")
"""Tensor cores that multiply fp16 alone (Turing: integers, too), without bf16, tf32 and fp64."""
AMD = ("cdna2", "cdna3", "cdna4")
GENERATIONS = (*BEFORE_AMPERE, *NVIDIA, *AMD)
SINCE_AMPERE = (*NVIDIA, *AMD)
SINCE_TURING = ("turing", *SINCE_AMPERE)
BY_WARP = ("ampere", "ada", "blackwell-rtx")
"""Generations whose warps multiply by themselves, in kernels of cuBLAS and CUTLASS alike."""
SINCE_ADA = ("ada", "hopper", *BLACKWELL, "cdna3", "cdna4")
HALVES = {"bf16": SINCE_AMPERE, "fp16": GENERATIONS}
WORDS = {"fp32": GENERATIONS, "tf32": NVIDIA, "fp64": GENERATIONS}
FP8 = {"fp8": SINCE_ADA}
SIXTEEN = {"fp8": {"N": 16, "K": 16}, "nvfp4": {"N": 32, "K": 32}}
STORED = ("fp8", "int8", "int4", "mxfp4", "nvfp4")
"""Formats that weights, keys and values are stored in where kernels widen them."""

UNEVEN = ("stencil", "pool", "scatter", "gather", "sort", "cumulative")
"""Schedules of torch's own kernels, which engines call, too; they take the rates of row kernels
until they are measured."""

ROW_KERNELS = ("softmax", "rmsnorm", "layernorm", "gelu", "add", "copy")
"""Row kernels that are measured, by the family of their rows."""

FEW_QUERIES = 8
"""Queries of a sequence, at most, that count as decode: one, or a few that were guessed ahead."""


@dataclass(frozen=True, eq=False)
class Found:
    """A kernel's worth of Einsums, recognised: which schedule, and the problem's sizes."""

    name: str
    schedule: str
    problem: Any
    work: Cascade
    times: Amount = 1
    by_warp: "Found | None" = None
    """What runs in its place on GPUs whose warps multiply by themselves; None: the same."""


@dataclass(frozen=True, eq=False)
class Launch:
    """How a library runs a schedule: what it counts, its tiles, and the rule that fills one in.

    Attributes:
        activity: (problem, tile, limits) -> what the kernel does, counted.
        menu: launch records, of which the fastest is taken.
        resolve: (tile, problem, limits) -> the tile with what it leaves open.
        completes: the same for a record that a measured row names.
        streamed: the activity where the kernel's work is shared out by stream-K.
        regimes: which calls have intervals of their own, the first that holds of several.
        told: what a warning says of all of its calls; nothing.
    """

    activity: Callable[[Any, Any, Limits], Activity]
    menu: Sequence[Any]
    resolve: Callable[[Any, Any, Limits], Any] | None = None
    completes: Callable[[Any, Any, Limits], Any] | None = None
    streamed: Callable[[Any, Any, Limits], Activity] | None = None
    regimes: Sequence[Regime] = ()
    told: str = ""


@dataclass(frozen=True)
class Support:
    """What one library's kernels of some schedules take.

    Attributes:
        formats: format of the operands -> generations of GPUs whose kernels take it.
        narrow: formats that the second operand (weights; keys and values) may have where it is
            stored narrower than the first; none: both have one format.
        alike: formats that both operands may have; None: all of `formats`.
        blocks: whether the second operand has a scale for each block; None: as may be.
        head_dim: largest head dimension by generation; none: of any size.
        head_dims: head dimensions that there are kernels for; none: all up to the largest.
        multiples: format -> argument -> number that it has to be a multiple of.
        skips: whether they skip blocks of keys that a density leaves out.
        structured: whether they take weights of which some in each group along the sum are zero
            (`bf16~2:4`), and no others.
        query_rows: most query rows of a KV head (those of its group) at once; none: any number.
        elsewhere: generation -> the library that torch calls in its place there, so that it cannot
            be asked for by its own name.
        source: where this is read.
    """

    schedules: tuple[str, ...]
    formats: Mapping[str, tuple[str, ...]]
    source: str
    narrow: tuple[str, ...] = ()
    alike: tuple[str, ...] | None = None
    blocks: bool | None = None
    head_dim: Mapping[str, int] = field(default_factory=lambda: {})
    head_dims: tuple[int, ...] = ()
    multiples: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: {})
    query_rows: int | None = None
    skips: bool = False
    structured: bool = False
    elsewhere: Mapping[str, str] = field(default_factory=lambda: {})


Columns = Mapping[str, Any]
"""What was measured: the columns of a row."""


def every_row(columns: Columns) -> bool:
    """All rows of a library."""
    return True


@dataclass(frozen=True)
class Reported:
    """A line of the report: which of the library's measured rows it holds.

    Libraries whose lines have one title share it.
    """

    title: str
    holds: Callable[[Columns], bool] = every_row


@dataclass(frozen=True)
class Sampled:
    """A stage of a sitting, whose cases are one library's: how much of it is measured.

    Attributes:
        share: share of the sitting's time, beside those of other stages.
        rows: most rows.
        launches: cases whose launches are recorded.
        counters: cases whose hardware counters are read.
        traced: whether the launches of all cases that were timed are recorded, by the stage
            `traced`.
        plan: parts of `hwmodel calibrate` that measure it.
    """

    share: float = 0.05
    rows: int = 1000
    launches: int = 0
    counters: int = 0
    traced: bool = False
    plan: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """How a library is measured, by importable names that are loaded on a machine with a GPU.

    Attributes:
        builder: "module:function", from a case to what makes its inputs and its call.
        cases: "module:function" each, from a seed to endless cases by stage of a sitting.
        stages: how much is measured of those stages that are this library's, in their order;
            others get `Sampled()`.
    """

    builder: str
    cases: tuple[str, ...] = ()
    stages: Mapping[str, Sampled] = field(default_factory=lambda: {}, hash=False)


@dataclass(frozen=True, eq=False, repr=False)
class Library(Shown):
    """A library of GPU kernels, or a stack that calls several.

    Attributes:
        name: what `kernel` is given, and the second half of its calibration families.
        title: what it is, for people.
        launches: schedule ("gemm", "grouped", "prefill", "decode", "rows", "reduction", "scan") ->
            how it runs it, in the order in which they are fitted.
        apart: generation -> schedule -> how it runs it there, where its kernels are of another
            kind.
        calls: schedule -> the library, or its name, that it calls for it.
        instead: schedule -> names of libraries that run formats, or heads, which its own choice
            lacks.
        by_row: schedule -> the library that runs it on fp8 with a scale for each row, as its own
            calls do where their operands have such.
        on: schedule -> generation of GPUs -> names of the libraries that it chooses there, the
            first that takes the call; without an entry it runs its own.
        rewrites: what it makes of the kernels recognised, where it runs the row kernels: kernels
            joined into one, or followed by another.
        support: what its kernels take; a schedule without an entry takes anything.
        priors: schedule -> parameters, bounds and interval until it is measured; without an entry
            those of the schedule (`hardware/devices/calibration/uncalibrated.yaml`).
        borrows: schedule -> the family whose efficiencies it takes, never having been measured.
        costed_as: generation -> what is told where kernels of another generation are costed.
        native: generation -> how many times more of the datasheet's matrix rate its instructions
            reach there than on the GPU that they were fitted on.
        by_phase: whether a prompt of few tokens runs as prompts do, since it plans these apart from
            sequences that have keys already; else as its kernel for few queries.
        rotated: whether its public timings repeat it on activations in turn, as on weights, which
            a warm L2 then is of.
        measured: how it is measured; None: it is not, by this package.
        reported: its lines in the report; none: one of all its rows, under its title.
    """

    name: str
    title: str
    launches: Mapping[str, Launch] = field(default_factory=lambda: {})
    apart: Mapping[str, Mapping[str, Launch]] = field(default_factory=lambda: {})
    calls: "Mapping[str, str | Library]" = field(default_factory=lambda: {})
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {})
    by_row: Mapping[str, str] = field(default_factory=lambda: {})
    on: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=lambda: {})
    rewrites: Callable[[Sequence[Found]], list[Found]] | None = None
    support: tuple[Support, ...] = ()
    priors: Mapping[str, Family] = field(default_factory=lambda: {})
    borrows: Mapping[str, str] = field(default_factory=lambda: {})
    costed_as: Mapping[str, str] = field(default_factory=lambda: {})
    native: Mapping[str, float] = field(default_factory=lambda: {})
    by_phase: bool = False
    rotated: bool = False
    measured: Measured | None = None
    reported: tuple[Reported, ...] = ()

    @property
    def families(self) -> tuple[str, ...]:
        """Its calibration families, in the order in which they are fitted."""
        return tuple(self.family(schedule) for schedule in self.launches)

    def family(self, schedule: str) -> str:
        """Calibration family of one of its schedules."""
        return f"{schedule}:{self.name}"

    def takes(self, schedule: str) -> Support | None:
        """What its kernels of a schedule take; None where it is anything."""
        return next((each for each in self.support if schedule in each.schedules), None)


Kernel: TypeAlias = str | Library | Mapping[str, Any] | None
"""What `kernel` may be: a library or its name, one for each family, or none (torch's choice); on an
FPGA also a table that configures hls4ml."""

PARAMETER = re.compile(r"(\w+) = (\S+) in (\S+) \.\. (\S+): (.+)")
"""A parameter of a text of priors: name, value, bounds, meaning."""


def priors(text: str, interval: tuple[float, float] = PRIOR) -> Family:
    """A family of priors from lines `name = value in low .. high: meaning`.

    A line that begins no parameter goes on with the meaning of the one before it.
    """
    joined: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if PARAMETER.match(line) or not joined:
            joined.append(line)
        else:
            joined[-1] += f" {line}"
    found: dict[str, Parameter] = {}
    for line in joined:
        match = PARAMETER.match(line)
        if match is None:
            raise InputError(f"priors: expected 'name = value in low .. high: ...', found {line!r}")
        name, value, low, high, meaning = match.groups()
        found[name] = Parameter(
            value=float(value), low=float(low), high=float(high), meaning=meaning
        )
    return Family(parameters=found, interval=interval, origin="prior")


def of_dtype(*names: str) -> Callable[[Columns], bool]:
    """Rows of some number formats, for a line of the report."""
    return _OfDtype(names)


@dataclass(frozen=True)
class _OfDtype:
    names: tuple[str, ...]

    def __call__(self, columns: Columns) -> bool:
        return columns["dtype"] in self.names


def is_backward(columns: Columns) -> bool:
    """Gradients of attention."""
    return columns.get("family") == "attention_backward"


def is_wide(columns: Columns) -> bool:
    """Attention whose KV heads serve many query heads each, forward."""
    return (
        not is_backward(columns)
        and float(columns["heads"]) / float(columns["kv_heads"]) > WIDE_GROUP
    )


def is_prefill(columns: Columns) -> bool:
    """Attention of many queries, forward, in groups that are not wide."""
    many = float(columns["queries"]) > FEW_QUERIES
    return many and not is_wide(columns) and not is_backward(columns)


def is_decode(columns: Columns) -> bool:
    """Attention of few queries, in groups that are not wide."""
    return float(columns["queries"]) <= FEW_QUERIES and not is_wide(columns)
