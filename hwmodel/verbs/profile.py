"""`profile`: how far each kernel of a measured run is from its prediction, and from its limit."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hwmodel.hardware.catalogue import device_called, slug
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import Machine, machine_of, predict
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.quantity.errors import HwmodelError, InputError
from hwmodel.quantity.printable import cut
from hwmodel.quantity.reading import text_of
from hwmodel.quantity.units import show
from hwmodel.text.frames import Framed
from hwmodel.text.grid import grid
from hwmodel.text.markup import Brief, answer_html
from hwmodel.validation.readers.benchmarks import is_benchmark
from hwmodel.validation.readers.calls import Call, call_of
from hwmodel.validation.readers.operators import Operator
from hwmodel.validation.readers.profiles import TRACE_BYTES, Profile, Ran, profile_of
from hwmodel.verbs.ask import AS_IS, ON, Question, Word, in_python
from hwmodel.verbs.work import KERNEL, STATE

if TYPE_CHECKING:
    import polars

    from hwmodel.verbs.benchmarked import Benchmarked

LONGEST = 60
"""Characters of a call, or of a kernel's own name, that are printed."""
FIELDS = (
    *("call", "kernels", "runs", "seconds", "measured_s"),
    *("predicted_s", "predicted_low_s", "predicted_high_s", "bound_s"),
    *("of_bound", "of_predicted", "why"),
)


@dataclass(frozen=True)
class Line:
    """One call of certain sizes, or kernels of a name that belong to no call that is known.

    `seconds` are those of all `runs` together; predicted ones are of one run, None where none is
    made, as `why` says. `bound_s` is the least that any kernel takes; of kernels without a call
    that whose bytes were counted, the time of these at the DRAM's full rate.
    """

    call: str
    known: bool
    kernels: str
    runs: int
    seconds: float
    predicted_s: float | None = None
    predicted_low_s: float | None = None
    predicted_high_s: float | None = None
    bound_s: float | None = None
    why: str = ""

    @property
    def measured_s(self) -> float:
        """Seconds of one run, in the mean."""
        return self.seconds / self.runs

    @property
    def of_bound(self) -> float | None:
        """Measured over the least."""
        return self.measured_s / self.bound_s if self.bound_s else None

    @property
    def of_predicted(self) -> float | None:
        """Measured over predicted."""
        return self.measured_s / self.predicted_s if self.predicted_s else None

    @property
    def within(self) -> bool | None:
        """Whether the measured time lies in the 90 % interval; None where there is none."""
        low, high = self.predicted_low_s, self.predicted_high_s
        return None if low is None or high is None else low <= self.measured_s <= high


@dataclass(frozen=True, eq=False, repr=False)
class Profiled(Brief, Framed):
    """A measured run beside its prediction: a line a call, what takes longest first."""

    source: str
    device: str
    measured_on: str
    lines: tuple[Line, ...]
    top: int = 20
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of all kernels, one after the other."""
        return sum(line.seconds for line in self.lines)

    def share(self, kind: str) -> float:
        """Part of the time of lines that are "known", "predicted", or "within" their interval."""
        told = {
            "known": [line.known for line in self.lines],
            "predicted": [line.predicted_s is not None for line in self.lines],
            "within": [bool(line.within) for line in self.lines],
        }[kind]
        kept = (line.seconds for line, said in zip(self.lines, told, strict=True) if said)
        return sum(kept) / (self.seconds or 1.0)

    @property
    def of_predicted(self) -> float | None:
        """Measured over predicted, of all that is predicted together."""
        found = [line for line in self.lines if line.predicted_s is not None]
        predicted = sum((line.predicted_s or 0.0) * line.runs for line in found)
        return sum(line.seconds for line in found) / predicted if predicted else None

    @property
    def of_bound(self) -> float | None:
        """Measured over the least, of all lines that have one."""
        found = [line for line in self.lines if line.bound_s]
        least = sum((line.bound_s or 0.0) * line.runs for line in found)
        return sum(line.seconds for line in found) / least if least else None

    @property
    def table(self) -> "polars.DataFrame":
        """A row a line."""
        import polars

        kinds = {name: polars.Float64 for name in FIELDS} | {"runs": polars.Int64}
        kinds |= dict.fromkeys(("call", "kernels", "why"), polars.String)
        return polars.DataFrame(
            {name: [getattr(line, name) for line in self.lines] for name in FIELDS}, schema=kinds
        )

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        shares = {name: self.share(name) for name in ("known", "predicted", "within")}
        told = {"source": self.source, "device": self.device, "measured_on": self.measured_on}
        whole = {"seconds": self.seconds, "shares": shares}
        whole |= {"of_predicted": self.of_predicted, "of_bound": self.of_bound}
        return told | whole | {"warnings": list(self.warnings)} | {"lines": self.table.to_dicts()}

    @property
    def finding(self) -> str:
        """In a sentence."""
        runs = sum(line.runs for line in self.lines)
        told = f"{self.source} beside {self.device}: {show(self.seconds, 's')} in {runs:,} kernels"
        told += f", {self.share('predicted'):.0%} of the time predicted"
        if self.of_predicted is not None:
            told += f": measured {self.of_predicted:.2f} times the prediction"
            told += f", {self.share('within') / self.share('predicted'):.0%} of it in the interval"
        if self.of_bound is not None:
            told += f"; {self.of_bound:.2f} times the least"
        return told

    def _rows(self) -> tuple[tuple[str, ...], list[list[str]]]:
        heads = ("call", "runs", "of all", "measured", "predicted", "interval", "least", "x least")
        rows: list[list[str]] = []
        for line in self.lines[: self.top]:
            ends = (line.predicted_low_s, line.predicted_high_s)
            interval = "-" if None in ends else " to ".join(show(e, "s") for e in ends if e)
            rows.append(
                [
                    cut(line.call, LONGEST),
                    f"{line.runs:,}",
                    f"{line.seconds / (self.seconds or 1.0):.1%}",
                    show(line.measured_s, "s"),
                    "-" if line.predicted_s is None else show(line.predicted_s, "s"),
                    interval,
                    "-" if line.bound_s is None else show(line.bound_s, "s"),
                    "-" if line.of_bound is None else _ratio(line.of_bound),
                ]
            )
        return heads, rows

    def _notes(self) -> list[str]:
        notes = [*self.warnings]
        if self.measured_on and not notes:
            notes = [f"measured on {self.measured_on}"]
        left = len(self.lines) - self.top
        notes += [f"{left:,} lines more; .table and --json have all"] if left > 0 else []
        why = list(dict.fromkeys(line.why for line in self.lines[: self.top] if line.why))
        if not why and all(line.predicted_s is line.bound_s is None for line in self.lines):
            notes.append(
                "no call's sizes are known, only times: a trace of torch.profiler with"
                " record_shapes=True has them"
            )
        return [*notes, *(f"no prediction: {each}" for each in why[:4])]

    def __str__(self) -> str:
        """The finding, a row a call, and what is not predicted."""
        heads, rows = self._rows()
        notes = "\n".join(f"- {note}" for note in self._notes())
        return "\n\n".join(
            each for each in (self.finding, grid(heads, rows, left=(0,)), notes) if each
        )

    def _repr_html_(self) -> str:
        return answer_html(self.finding, [self._rows()], self._notes())


class ProfileOf(Question):
    """How far each kernel of a measured run is from its prediction, and from its limit.

    `trace` is a file of torch.profiler (with `record_shapes=True` calls have shapes, without it
    nothing is predicted), or a CSV of Nsight Systems or Nsight Compute; or results of a benchmark
    of vLLM (`serve`, `throughput`, `latency`) or SGLang (`bench_serving`,
    `bench_offline_throughput`), of which the same stream is simulated. `on` is the device: that of
    the run, where what is measured and what is predicted shall agree. `config`, `engine`, `tp` and
    `dp` are of a benchmark whose file does not say them, or says others; `input`, `output` and
    `requests` of an offline one whose file says them not.
    """

    verb: ClassVar[str] = "profile"
    places: ClassVar[tuple[str, ...]] = ("trace", "on")
    example: ClassVar[str] = "profile trace.json --on h200"

    trace: Annotated[
        str | Path, AS_IS, Word("A profile: .json, .json.gz or .csv.", str, place=True)
    ]
    on: Annotated[Machine, AS_IS, ON]
    kernel: Annotated[Kernel, AS_IS, KERNEL] = None
    l2: Annotated[str | None, STATE] = None
    top: Annotated[int, Word("Lines that are printed.")] = 20
    config: Annotated[str | None, Word("The model of a benchmark.", complete="models")] = None
    engine: Annotated[str | None, Word("The engine of a benchmark.", complete="engines")] = None
    tp: Annotated[int | None, Word("Devices that divided a benchmark's model.")] = None
    dp: Annotated[int | None, Word("Replicas of it that shared its requests.")] = None
    input: Annotated[int | None, Word("Tokens of a prompt of an offline benchmark.")] = None
    output: Annotated[int | None, Word("Tokens of an answer of one.")] = None
    requests: Annotated[int | None, Word("Requests of one that says only seconds.")] = None

    def answer(self) -> "Profiled | Benchmarked":
        """The run beside its prediction."""
        if self.top < 1:
            raise InputError(f"profile: top: expected 1 or more, found {self.top}")
        machine = machine_of(self.on)
        if _holds_benchmarks(self.trace):
            from hwmodel.verbs.benchmarked import benchmarked

            how = {"tp": self.tp, "dp": self.dp}
            told = {"input": self.input, "output": self.output, "requests": self.requests}
            return benchmarked(self.trace, machine, self.config, self.engine, how, told)
        for name in ("config", "engine", "tp", "dp", "input", "output", "requests"):
            if getattr(self, name) is not None:
                told = "expected with results of a benchmark of an engine, found another profile"
                raise InputError(f"profile: {name}: {told}")
        found = profile_of(self.trace)
        lines = _lines(found, machine, self.kernel, self.l2)
        name, told = Path(self.trace).name, _elsewhere(found.device, machine)
        return Profiled(name, machine.title, found.device, lines, self.top, told)

    def record(self, answer: "Profiled | Benchmarked") -> dict[str, Any]:
        """Every field."""
        from hwmodel.show.json import plain

        return plain(answer.record())


profile = in_python(ProfileOf)


def _elsewhere(measured_on: str, machine: Hardware) -> tuple[str, ...]:
    """A warning where a run's own name of its GPU is not that of the device asked for."""
    called = device_called(measured_on)
    mine = (machine.name.lower(), machine.extends)
    if not measured_on or slug(machine.title) == slug(measured_on):
        return ()
    if called is not None and (called in mine or f"{mine[0]}-".startswith(f"{called}-")):
        return ()
    instead = f"--on {called}" if called else "`hwmodel calibrate` makes a device of that GPU"
    return (
        f"measured on {measured_on}, predicted for {machine.title}, another device: times need not"
        f" agree; {instead}",
    )


def _holds_benchmarks(path: str | Path) -> bool:
    """Whether a file starts as results of a benchmark do, of which traces have no field."""
    if Path(path).suffix.lower() not in (".json", ".jsonl"):
        return False
    return is_benchmark(text_of(path, most=TRACE_BYTES, by_line=True))


def _lines(
    found: Profile, machine: Hardware, kernel: Kernel, state: str | None
) -> tuple[Line, ...]:
    """Kernels by what they compute; those of no known call by their names."""
    calls: dict[Call | Operator, list[Ran]] = {}
    others: dict[str, list[Ran]] = {}
    for ran in found.kernels:
        call = call_of(ran.ops, ran.name)
        if call is None:
            others.setdefault(_short(ran.name), []).append(ran)
        else:
            calls.setdefault(call, []).append(ran)
    lines = [_of_call(call, held, machine, kernel, state) for call, held in calls.items()]
    lines += [_of_kernel(name, held, machine) for name, held in others.items()]
    return tuple(sorted(lines, key=lambda line: -line.seconds))


def _of_call(
    call: Call | Operator, held: list[Ran], machine: Hardware, kernel: Kernel, state: str | None
) -> Line:
    """Launches of one call are one run of it."""
    runs = len({each.call for each in held})
    names = ", ".join(dict.fromkeys(_short(each.name) for each in held))
    told: dict[str, Any] = {"known": True, "kernels": names, "runs": runs}
    told["seconds"] = sum(each.seconds for each in held)
    try:
        answer = predict(call.work, machine, kernel=kernel or call.kernel, l2=state)
    except HwmodelError as error:
        return Line(call.said, **told, why=str(error))
    low, high = float(answer.time_low_s), float(answer.time_high_s)
    told |= {"predicted_s": float(answer.time_s), "bound_s": float(answer.bound_s)}
    told |= {} if low != low else {"predicted_low_s": low, "predicted_high_s": high}
    return Line(call.said, **told)


def _of_kernel(name: str, held: list[Ran], machine: Hardware) -> Line:
    runs = sum(each.runs for each in held)
    moved = [each.dram_bytes for each in held if each.dram_bytes is not None]
    least = None
    if len(moved) == len(held):
        rate = machine.memory("dram").bandwidth_bytes_per_s
        least = sum(moved) / float(rate) / runs
    seconds = sum(each.seconds for each in held)
    return Line(name, False, name, runs, seconds, bound_s=least)


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def _short(name: str) -> str:
    """A kernel's name without what its templates and arguments say."""
    depth, kept = 0, ""
    for sign in name.removeprefix("void "):
        depth += (sign in "<(") - (sign in ">)")
        if depth == 0 and sign not in ">)":
            kept += sign
    return kept.replace("::::", "::").strip() or name
