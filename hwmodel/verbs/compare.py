"""`compare`: one workload on several machines, side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import Machine, machine_of, predict
from hwmodel.quantity.errors import HwmodelError, InputError
from hwmodel.quantity.extras import extras_told
from hwmodel.spine.answer import Answer
from hwmodel.text.frames import Framed
from hwmodel.text.markup import Brief
from hwmodel.verbs.ask import AS_IS, MANY, in_python, several
from hwmodel.verbs.request import answerer, machine, read
from hwmodel.verbs.work import OfRun

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Refused:
    """A machine that has no answer, its place among those asked for, and why."""

    place: int
    device: str
    why: str


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Brief, Framed):
    """Estimates of one workload on several machines, in the order asked for; and who refused."""

    estimates: tuple[Answer, ...]
    refused: tuple[Refused, ...] = ()

    @property
    @extras_told()
    def table(self) -> "polars.DataFrame":
        """A row for each point of each estimate, and one that says why a machine refused."""
        import polars

        made = [
            each.table if isinstance(each, Framed) else polars.DataFrame([_row(each)])
            for each in self.estimates
        ]
        told = [{"device": each.device, "refused": each.why} for each in self.refused]
        refused = polars.DataFrame(told, schema={"device": str, "refused": str})
        return polars.concat([*made, refused], how="diagonal_relaxed")

    def __str__(self) -> str:
        """A table, with times relative to the first machine that answered."""
        from hwmodel.show.text import comparison_text

        return comparison_text(self.estimates, self._reasons())

    def _repr_html_(self) -> str:
        from hwmodel.show.html import comparison_html

        return comparison_html(self.estimates, self._reasons())

    def _reasons(self) -> tuple[str, ...]:
        return tuple(f"no answer on {each.device}: {each.why}" for each in self.refused)


def _row(answer: Answer) -> dict[str, Any]:
    """What every answer has, of one that is no list of kernels."""
    names = ("time_s", "time_low_s", "time_high_s", "bound_s", "energy_j", "bottleneck")
    row = {"workload": answer.name, "device": answer.device, "tokens_per_s": answer.tokens_per_s}
    return row | {name: getattr(answer, name) for name in names}


def answered(asked: Sequence[tuple[str, Callable[[], Answer]]]) -> Comparison:
    """The answers of those machines that give one; raises the first refusal where none does."""
    estimates: list[Answer] = []
    refused: list[Refused] = []
    errors: list[HwmodelError] = []
    for place, (device_title, ask) in enumerate(asked):
        try:
            estimates.append(ask())
        except HwmodelError as error:
            errors.append(error)
            refused.append(Refused(place, device_title, str(error)))
    if not estimates:
        raise errors[0]
    return Comparison(tuple(estimates), tuple(refused))


class Compare(OfRun):
    """The same workload on several devices, side by side; those that refuse are named, with why.

    Raises as `predict` does where no device answers.
    """

    verb: ClassVar[str] = "compare"
    example: ClassVar[str] = "compare gemm M=4096 N=4096 K=4096 --on h200 --on b200"

    on: Annotated[Sequence[Machine], AS_IS, MANY]  # pyright: ignore

    def of(self, workload: Any, on: Any, kernel: Any) -> Comparison:
        """Estimates in the order asked for."""
        if isinstance(on, (str, Path, Hardware)):
            raise InputError(f"compare: expected a list of machines, found {type(on).__name__}")
        if not on:
            raise InputError("compare: expected one machine or more, found none")

        def ask(machine: Hardware) -> Callable[[], Answer]:
            return lambda: predict(workload, machine, kernel=kernel, **self.run)

        machines = [machine_of(each) for each in on]
        return answered([(machine.title, ask(machine)) for machine in machines])

    def answer(self) -> Comparison:
        """Estimates in the order asked for; those that refuse are named."""
        if self.has_values:
            self.check_values()
            return self.valued()
        fields = self.asked()
        asked = [
            (machine(name).title, partial(_estimate, {**fields, "on": name}))
            for name in several(self.on)
        ]
        return answered(asked)

    def record(self, answer: Comparison) -> list[dict[str, Any]]:
        """An estimate for each machine, or why there is none."""
        records = [super(Compare, self).record(estimate) for estimate in answer.estimates]
        for refused in answer.refused:
            records.insert(refused.place, {"device": refused.device, "error": refused.why})
        return records

    def status(self, answer: Comparison) -> int:
        """That of a refusal, where there is one."""
        return InputError.exit_status if answer.refused else 0


compare = in_python(Compare)


def _estimate(fields: Mapping[str, Any]) -> Answer:
    request = read(fields)
    return answerer(request.form)(request.sizes)
