"""`calibrate`: measure this machine's GPU and fit it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hwmodel.quantity.errors import InputError
from hwmodel.text.frames import Frame
from hwmodel.verbs.ask import AS_IS, Question, Word, in_python

if TYPE_CHECKING:
    from hwmodel.validation.engine_plan import EngineOutcome
    from hwmodel.validation.plan import Outcome
    from hwmodel.validation.table_fit import TableOutcome


class Calibrate(Question):
    """Measure this machine's GPU and fit it, in stages; run it again to go on where it stopped.

    With a `table` of times, a CSV or a data frame, nothing is measured: the device of the catalogue
    is fitted to its rows.

    The folder `out` holds the device and its calibration afterwards; `device` names the relative in
    the catalogue. With an `engine` its steps are measured, and fitted, on that device; instead of
    measuring it reads `benchmarks`, files that `vllm bench` wrote, or folders of them. Raises
    `InputError` where there is no GPU, or the folder holds another's.
    """

    verb: ClassVar[str] = "calibrate"
    places: ClassVar[tuple[str, ...]] = ("out", "device")
    writes: ClassVar[bool] = True
    example: ClassVar[str] = "calibrate --out my-gpu/"

    out: Annotated[str | Path, Word("A folder for the device and its calibration.", str)]
    device: Annotated[str, Word("The relative in the catalogue; auto finds the nearest.")] = "auto"
    engine: Annotated[str | None, Word("An installed engine to measure instead: vllm.")] = None
    benchmarks: Annotated[
        list[str | Path] | None,
        Word("With it: files of vllm bench, or folders of them, to fit to instead.", list[str]),
    ] = None
    table: Annotated[
        "str | Path | Frame | None", AS_IS, Word("A CSV of times to fit to instead.", str)
    ] = None

    def answer(self) -> "Outcome | EngineOutcome | TableOutcome":
        """What was measured and fitted."""
        if self.table is not None:
            if self.engine is not None:
                raise InputError("calibrate: expected --table or --engine, found both")
            from hwmodel.validation.table_fit import calibrate_table

            return calibrate_table(self.out, self.table, self.device)
        if self.engine is not None:
            from hwmodel.validation.engine_plan import calibrate_engine

            read = self.benchmarks or ()
            return calibrate_engine(self.out, self.engine, self.device, benchmarks=read)
        if self.benchmarks is not None:
            raise InputError("--benchmarks: expected --engine with it; they are an engine's runs")
        from hwmodel.validation.plan import calibrate_device

        return calibrate_device(self.out, self.device)

    def record(self, answer: Any) -> dict[str, str]:
        """Where it is, and what was said."""
        return {"out": str(self.out), "text": str(answer)}


calibrate = in_python(Calibrate)
