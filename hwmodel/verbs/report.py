"""`report`: a prediction, or a study, as one page to hand on."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, cast

import numpy as np

from hwmodel.einsum.workloads.serving_stream import Serving
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.calibration import Family
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import Machine, Workload, machine_of, predict
from hwmodel.quantity.errors import HwmodelError, InputError
from hwmodel.quantity.reading import why
from hwmodel.show.page import Section, code, page
from hwmodel.spine.estimate import Estimate
from hwmodel.text.markup import Brief
from hwmodel.verbs.ask import AS_IS, ON, Word, in_python
from hwmodel.verbs.compare import Comparison, answered
from hwmodel.verbs.work import OfRun

WORK = Word("The work; in a line, a workload's name.", value=True)

BESIDE: Mapping[str, tuple[str, ...]] = {
    "gpu": ("a100", "h100", "h200", "b200", "mi300x"),
    "mcu": ("stm32f746", "stm32h743", "esp32-s3"),
}
"""Kind of a machine -> those that stand beside it where none are asked for."""

STUDIES = (".yaml", ".yml")
ROWS = 20
"""Of a study that its page shows, the fastest first."""


@dataclass(frozen=True, eq=False, repr=False)
class Reported(Brief):
    """A page: its title, the finding, the headings of its sections, and the file's text."""

    title: str
    finding: str
    headings: tuple[str, ...]
    html: str
    out: str | None = None

    def record(self) -> dict[str, Any]:
        """Everything but the page itself."""
        told = {"title": self.title, "finding": self.finding, "headings": list(self.headings)}
        return told | {"bytes": len(self.html.encode()), "out": self.out}

    def write(self, path: str | Path) -> None:
        """Write the page; raises `InputError` where that cannot be done, or is no page's name."""
        _check_name(path)
        try:
            Path(path).write_text(self.html, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: expected a place to write to: {why(error)}") from None

    def __str__(self) -> str:
        """Where it is, and what is in it."""
        where = f"wrote {self.out}" if self.out else "a page, not written"
        size = f"{len(self.html.encode()) / 1000:,.0f} kB"
        return f"{where} ({size}): {self.finding}\n\n" + "\n".join(self.headings)

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that its style stays there."""
        from html import escape

        held = escape(self.html, quote=True)
        return f'<iframe srcdoc="{held}" style="width:100%;height:40em;border:0"></iframe>'


def _check_name(path: str | Path) -> None:
    """Refuses what no page is called."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: expected a page's name, which ends in .html; print it to PDF")


class Report(OfRun):
    """A prediction, or a study, as one page to hand on: what, why, how sure, and what would help.

    The page (`out`, or `.html` of the answer) stands by itself and can be printed: the finding,
    memory, where the time goes, the roofline, intervals and the rows that they rest on, what would
    help, other machines (`against`; default: well-known ones of its kind), assumptions, and the
    command to repeat it. `study` is a YAML file of a case and its axes in place of one workload.
    Raises as `predict` does.
    """

    verb: ClassVar[str] = "report"
    writes: ClassVar[bool] = True
    example: ClassVar[str] = (
        "report llama-3.2-1b --context 2048 --batch 32 --on h200 --against h100 --out page.html"
    )

    workload: Annotated[Workload | Training | Serving | None, AS_IS, WORK] = None  # pyright: ignore
    on: Annotated[Machine | None, AS_IS, ON] = None  # pyright: ignore
    against: Annotated[
        Sequence[Machine] | str | None,
        AS_IS,
        Word("Other devices: a100,b200 (default: of its kind); none.", str, complete="devices"),
    ] = None
    study: Annotated[str | None, Word("A study in place of one workload.")] = None
    out: Annotated[str | None, Word("The page: page.html.", complete="files")] = None

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """A name that ends as studies do is one; beside a study there is no workload."""
        what = words.get("what")
        rest = {name: value for name, value in words.items() if name != "what"}
        if what is None and "study" in words:
            return cls._alone(rest)
        if not str(what).lower().endswith(STUDIES):
            return super().said(words)
        if "study" in words:
            raise InputError(f"report: expected one study, found {what} and {words['study']}")
        return cls._alone({"study": what, **rest})

    @classmethod
    def _alone(cls, words: Mapping[str, Any]) -> Self:
        """A question after a study, which says its workloads and machines itself."""
        more = [name for name in words if name not in ("study", "out")]
        if more:
            told = f"found {', '.join(map(str, more))} beside {words['study']}"
            raise InputError(f"report: expected a study by itself, {told}; the study says them")
        return cls.read(words)

    def of(self, workload: Any, on: Any, kernel: Any) -> Reported:
        """The page of a workload on a machine."""
        if workload is None or on is None:
            raise InputError("report: expected a workload and a machine, or a study")
        machine = machine_of(on)
        answer = predict(workload, machine, kernel=kernel, **self.run)
        if np.ndim(answer.time_s):
            told = f"found {np.size(answer.time_s)} of them: a study has a page too"
            raise InputError(f"report: expected one point, {told}")
        beside = self._beside(workload, machine, kernel)
        sections = [*_of_answer(answer, machine), *self._of_reasons(workload, machine, kernel)]
        sections += [_compared(beside)] if len(beside.estimates) > 1 else []
        sections += [*_of_grounds(answer), Section("To repeat it", code(self._command()))]
        return self._paged(answer.name, answer.device, _headline(answer), sections)

    def valued(self) -> Reported:
        """The page of a study, or of a workload and a machine."""
        return self._of_study(self.study) if self.study else super().valued()

    def answer(self) -> Reported:
        """The page, written where that is asked."""
        if self.out is not None:
            _check_name(self.out)
        return self.valued() if self.study else super().answer()

    def _paged(
        self, name: str, device: str, headline: str, sections: Sequence[Section]
    ) -> Reported:
        from hwmodel import __version__

        title = f"{name} on {device}" if device else name
        day = datetime.now(UTC).date().isoformat()
        foot = f"Predicted by hwmodel {__version__} on {day}; 90 % intervals, SI units."
        held = [each for each in sections if each.body]
        made = page(title, headline, held, foot)
        found = Reported(title, headline, tuple(each.heading for each in held), made, self.out)
        if self.out is not None:
            found.write(self.out)
        return found

    def _beside(self, workload: Any, machine: Hardware, kernel: Any) -> Comparison:
        """The same on other machines, as many of each; those that refuse are named."""
        asked = BESIDE.get(machine.kind, ()) if self.against is None else self.against
        if isinstance(asked, str):
            asked = [name for name in map(str.strip, asked.split(",")) if name and name != "none"]
        several = [machine, *(machine_of(each) for each in asked)]
        others = {each.name: each for each in several[1:] if each.name != machine.name}
        many = [
            each * machine.devices if each.devices == 1 and machine.devices > 1 else each
            for each in others.values()
        ]

        def ask(each: Hardware) -> Any:
            return lambda: predict(workload, each, kernel=kernel, **self.run)

        return answered([(each.title, ask(each)) for each in (machine, *many)])

    def _of_reasons(self, workload: Any, machine: Hardware, kernel: Any) -> Iterator[Section]:
        from hwmodel.show.report import helps
        from hwmodel.whatif.explanation import explain

        try:
            found = explain(workload, machine, kernel=kernel, **self.run)
        except HwmodelError:
            return
        warned = set(found.estimate.warnings)
        sentences = [each for each in found.sentences if each not in warned]
        moved = found.sensitivity
        swing, effects = (0.0, ()) if moved is None else (moved.swing, moved.effects)
        yield helps(sentences, float(found.estimate.time_s), swing, effects)

    def _command(self) -> str:
        """What is typed to get this page again."""
        if self.has_values:
            return "hwmodel.report(workload, on, ...), with a workload made in Python"
        given = dict(self.asked())
        own = {name: given.pop(name) for name in ("workload", "on") if name in given}
        words = ["hwmodel", "report", str(own.pop("workload"))]
        flags = self.words()
        for name, value in given.items():
            if name not in flags:
                words.append(f"{name}={value}")
                continue
            flag = flags[name].flag or f"--{name.replace('_', '-')}"
            several = cast(list[Any], value) if isinstance(value, list) else [value]
            for each in several:
                words += [flag, _said(each)]
        words += ["--on", str(own["on"])]
        words += ["--against", str(self.against)] if self.against else []
        return shlex.join([*words, "--out", self.out or "page.html"])

    def _of_study(self, path: str) -> Reported:
        """The page of a study: its fastest rows, what no other row beats, and its text."""
        from hwmodel.quantity.reading import text_of
        from hwmodel.show.report import front, rows
        from hwmodel.verbs.sweep import sweep_file

        answer = sweep_file(path)
        count, why = answer.refusals()
        refused = f"; {count:,} refused, the first: {why}" if count else ""
        headline = f"{answer.points:,} points{refused}"
        table = answer.sweep.table
        again = f"hwmodel report {shlex.quote(path)} --out {shlex.quote(self.out or 'page.html')}"
        sections = (
            rows(table, ROWS),
            front(table),
            Section("The study", code(text_of(path))),
            *_of_grounds(answer.sweep),
            Section("To repeat it", code(again)),
        )
        return self._paged(Path(path).stem, "", headline, sections)


report = in_python(Report)


def _said(value: Any) -> str:
    """A value as a word of a command: `tp=2` of a table."""
    if not isinstance(value, Mapping):
        return str(value)
    return ",".join(f"{name}={each}" for name, each in cast(Mapping[str, Any], value).items())


def _headline(answer: Any) -> str:
    """The finding in a line."""
    return str(answer).split("\n\n")[0]


def _of_answer(answer: Any, machine: Hardware) -> Iterator[Section]:
    """What is predicted: of kernels each by itself, of other answers as a notebook shows them."""
    from hwmodel.show import report as parts

    yield Section("In numbers", parts.figures(answer))
    if not isinstance(answer, Estimate):
        yield Section("The answer", f'<div class="wide">{answer._repr_html_()}</div>')
        return
    yield parts.memory(answer)
    yield parts.times(answer)
    yield parts.roofline(answer, machine)
    yield parts.evidence(answer, machine.calibration, _families(answer, machine))


def _families(answer: Estimate, machine: Hardware) -> Mapping[str, Family]:
    """What the calibration says of each family of kernels that runs."""
    calibration = machine.calibration
    if calibration is None:
        return {}
    if machine.kind == "gpu":
        from hwmodel.machines.gpu.libraries.shipped import family_of

        names = {each.family for each in answer.parts}
        return {name: family_of(calibration, name) for name in names if _is_known(name)}
    return calibration.families


def _is_known(name: str) -> bool:
    from hwmodel.machines.gpu.libraries.shipped import FAMILIES

    return name.partition(":")[0] in FAMILIES


def _compared(found: Comparison) -> Section:
    from hwmodel.show.report import comparison

    return comparison(found.estimates, [f"{each.device}: {each.why}" for each in found.refused])


def _of_grounds(answer: Any) -> Iterator[Section]:
    from hwmodel.show.report import rests_on

    yield rests_on(tuple(answer.assumptions), tuple(answer.warnings))
