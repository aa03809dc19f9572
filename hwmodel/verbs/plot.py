"""`hwmodel plot KIND`: pictures of a prediction, of a sweep's table, or of the error report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import Machine, machine_of, predict
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import kind_of, why
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs.ask import Word
from hwmodel.verbs.request import asked
from hwmodel.verbs.work import OfWork

if TYPE_CHECKING:
    from hwmodel.sweeps.table import Sweep

OF_WORKLOAD = ("breakdown", "roofline", "tornado")
OF_TABLE = ("heatmap", "pareto")
KINDS = (*OF_WORKLOAD, *OF_TABLE, "parity")
COLUMNS = ("x", "y", "value", "most", "colour", "where")
"""Arguments about columns of a table."""

READERS = {".parquet": "read_parquet", ".csv": "read_csv"}
"""Ending of a table's file -> what reads it, of polars."""


class Plot(OfWork):
    """A picture of a prediction, of a sweep, or of how wrong predictions are."""

    verb: ClassVar[str] = "plot"
    writes: ClassVar[bool] = True
    example: ClassVar[str] = "plot roofline gemm M=4096 N=4096 K=4096 --on h200 --out roofline.png"

    kind: Annotated[str, Word("roofline, breakdown, tornado; pareto, heatmap; parity.", place=True)]
    out: Annotated[str, Word("The picture's file: .png, .svg, .pdf.")]
    source: Annotated[str | None, Word("A sweep's folder or file, of pareto and heatmap.")] = None
    x: Annotated[str | None, Word("Column of a sweep, across.")] = None
    y: Annotated[str | None, Word("Column of a sweep, up.")] = None
    value: Annotated[str | None, Word("Column that a heat map colours.")] = None
    most: Annotated[list[str] | None, Word("Of a front: a column of which more is better.")] = None
    colour: Annotated[str | None, Word("Of a front: the column of groups.")] = None
    where: Annotated[list[str] | None, Word("Rows of a sweep that are drawn: 'M = 64'.")] = None

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """What is drawn says how the other words are read."""
        kind = words["kind"]
        if kind not in KINDS:
            raise UnknownNameError("picture", kind, KINDS)
        if kind in OF_WORKLOAD:
            for name in COLUMNS:
                if name in words:
                    wanted = " or ".join(OF_TABLE)
                    raise InputError(f"--{name}: expected with {wanted}, found {kind}")
            return super().said(words)
        rest = {name: value for name, value in words.items() if name not in ("kind", "out")}
        if kind in OF_TABLE:
            strange = [name for name in rest if name not in (*COLUMNS, "what")]
            if "what" not in rest or strange:
                found = f"--{strange[0]}" if strange else "none"
                raise InputError(
                    f"{kind}: expected a sweep's folder or file and columns, found {found}"
                )
            return cls.read({"source": rest.pop("what"), **rest, "kind": kind, "out": words["out"]})
        strange = [name for name in rest if name != "on"]
        if strange:
            raise InputError(f"parity: expected --on alone, found {strange[0]}")
        return cls.read(words)

    def answer(self) -> str:
        """Draw it; the name of the file."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        given = {name: value for name, value in columns.items() if value is not None}
        if self.kind in OF_TABLE:
            if self.source is None:
                raise InputError(f"{self.kind}: expected a sweep's folder or file, found none")
            of_table(self.kind, self.source, self.out, **given)
        elif self.kind in OF_WORKLOAD:
            of_workload(self.kind, self.asked(), self.out)
        elif self.kind == "parity":
            of_device(str(self.on or "h200"), self.out)
        else:
            raise UnknownNameError("picture", self.kind, KINDS)
        return self.out

    def text(self, answer: str) -> str:
        """Where it is."""
        return f"wrote {answer}"

    def record(self, answer: str) -> dict[str, str]:
        """Where it is."""
        return {"out": answer}


def of_workload(kind: str, fields: Mapping[str, Any], out: str) -> None:
    """Draw a prediction: its roofline, its breakdown, or what would move it."""
    from hwmodel.show.pictures import gallery
    from hwmodel.whatif.sensitivity import sensitivity

    work, on, kernel = asked(fields)
    joined: dict[str, Any] = {"kernel": kernel, "topology": fields.get("topology")}
    joined["parallel"] = fields.get("parallel")
    if kind == "tornado":
        gallery.tornado(sensitivity(work, on, **joined), out)
        return
    estimate = predict(work, on, **joined)
    if kind == "roofline":
        gallery.roofline(estimate, on, out)
    else:
        gallery.breakdown(estimate, out)


def of_estimate(estimate: Any, on: Machine | None, out: str) -> None:
    """Draw where time and energy go, beside the machine where that is of arrays and buffers.

    Of a step of training the passes in time are drawn, or written for a viewer of traces.
    """
    from hwmodel.show.pictures import gallery

    if Path(out).suffix == ".json":
        _trace(estimate, out)
        return
    if hasattr(estimate, "timed"):
        gallery.pipeline(estimate, out)
        return
    if not isinstance(estimate, Estimate):
        raise InputError(
            f"{out}: {estimate.name} has no picture; a name that ends in .json is a trace of it"
        )
    from hwmodel.show.pictures.spatial import ARRAYS
    from hwmodel.show.pictures.spatial import draw as draw_machine

    machine = None if on is None else machine_of(on)
    if machine is not None and ARRAYS <= machine.arrays.keys():
        draw_machine(estimate, machine, out)
    else:
        gallery.breakdown(estimate, out)


def _trace(answer: Any, out: str) -> None:
    """Kernels in a row, a step of training or a stream, as a trace for Chrome and Perfetto."""
    from hwmodel.show.trace import write
    from hwmodel.systems.serving.served import Served
    from hwmodel.systems.training.trained import Trained

    if not isinstance(answer, (Trained, Served, Estimate)):
        raise InputError(
            f"{out}: expected a picture's ending, such as .png; traces (.json) are of kernels in a"
            " row, of steps of training and of streams of requests"
        )
    write(answer, out)


def of_table(
    kind: str,
    source: str,
    out: str,
    *,
    x: str | None = None,
    y: str | None = None,
    value: str | None = None,
    most: Sequence[str] = (),
    colour: str | None = None,
    where: Sequence[str] = (),
) -> None:
    """Draw a sweep, or the rows that meet conditions: its front, or two of its axes as a map."""
    from hwmodel.show.pictures import gallery

    table = _table(Path(source)).filter(*where)
    if kind == "pareto":
        if value is not None:
            raise InputError("--value: expected with a heatmap; a front has --x and --y")
        across, up = x or "time_s", y or "energy_j"
        gallery.pareto(table, across, up, out, most=most, colour=colour)
        return
    if x is None or y is None:
        raise InputError("heatmap: expected --x and --y, the columns of the two axes")
    if most or colour:
        raise InputError("--most, --colour: expected with pareto; a heatmap has --value")
    regions = "bottleneck" if "bottleneck" in table.units else None
    gallery.heatmap(table, x, y, value or "time_s", out, regions=regions)


def _table(path: Path) -> "Sweep":
    import polars

    from hwmodel.sweeps.files import open_sweep
    from hwmodel.sweeps.table import Sweep

    kind = kind_of(path)
    if kind == "folder":
        return open_sweep(path)
    if kind is None:
        raise InputError(f"{path}: expected the folder of a sweep or a table's file, found none")
    if path.suffix not in READERS:
        known = " or ".join(READERS)
        raise InputError(f"{path}: expected a table that ends in {known}, or a sweep's folder")
    try:
        return Sweep((getattr(polars, READERS[path.suffix])(path).lazy(),))
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: expected a table, found something else ({why(error)})") from None


def of_device(on: str, out: str) -> None:
    """Draw the error report of a device's calibration."""
    from hwmodel.validation.pictures import draw
    from hwmodel.verbs.validate import validate

    found = validate(on)
    draw(found.judged, Path(out), f"{device(on).title}: shapes never fitted")
