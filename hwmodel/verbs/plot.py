"""`hwmodel plot KIND`: pictures of a prediction, of a sweep's table, or of the error report."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars

from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import kind_of, why
from hwmodel.show.pictures import gallery
from hwmodel.show.pictures.spatial import ARRAYS
from hwmodel.show.pictures.spatial import draw as draw_machine
from hwmodel.spine.estimate import Estimate
from hwmodel.sweeps.files import open_sweep
from hwmodel.sweeps.table import Sweep
from hwmodel.verbs.explain import asked
from hwmodel.whatif.sensitivity import sensitivity

OF_WORKLOAD = ("breakdown", "roofline", "tornado")
OF_TABLE = ("heatmap", "pareto")
COLUMNS = ("x", "y", "value", "most", "colour", "where")
"""Arguments about columns of a table."""

READERS: Mapping[str, Callable[[Path], polars.DataFrame]] = {
    ".parquet": polars.read_parquet,
    ".csv": polars.read_csv,
}
"""Ending of a table's file -> what reads it."""


def draw(given: Mapping[str, Any], request: Callable[[Mapping[str, Any]], Any]) -> None:
    """Draw what the command's arguments ask for; `request` reads those of `predict`."""
    rest = dict(given)
    kind, out = rest.pop("kind"), rest.pop("out")
    known = (*OF_WORKLOAD, *OF_TABLE, "parity")
    if kind not in known:
        raise UnknownNameError("picture", kind, known)
    if kind in OF_WORKLOAD:
        extra = [name for name in COLUMNS if name in rest]
        if extra:
            raise InputError(f"--{extra[0]}: expected with {' or '.join(OF_TABLE)}, found {kind}")
        of_workload(kind, request(rest), out)
    elif kind in OF_TABLE:
        source = rest.pop("what", None)
        strange = [name for name in rest if name not in COLUMNS]
        if source is None or strange:
            found = f"--{strange[0]}" if strange else "none"
            raise InputError(
                f"{kind}: expected a sweep's folder or file and columns, found {found}"
            )
        of_table(kind, source, out, **rest)
    else:
        strange = [name for name in rest if name != "on"]
        if strange:
            raise InputError(f"parity: expected --on alone, found {strange[0]}")
        of_device(rest.get("on", "h200"), out)


def of_workload(kind: str, fields: Mapping[str, Any], out: str) -> None:
    """Draw a prediction: its roofline, its breakdown, or what would move it."""
    work, on, kernel = asked(fields)
    if kind == "tornado":
        gallery.tornado(sensitivity(work, on, kernel=kernel), out)
        return
    estimate = predict(work, on, kernel=kernel)
    if kind == "roofline":
        gallery.roofline(estimate, on, out)
    else:
        gallery.breakdown(estimate, out)


def of_estimate(estimate: Estimate, on: str | None, out: str) -> None:
    """Draw where time and energy go, beside the machine where that is of arrays and buffers."""
    machine = None if on is None else device(on)
    if machine is not None and ARRAYS <= machine.arrays.keys():
        draw_machine(estimate, machine, out)
    else:
        gallery.breakdown(estimate, out)


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


def _table(path: Path) -> Sweep:
    kind = kind_of(path)
    if kind == "folder":
        return open_sweep(path)
    if kind is None:
        raise InputError(f"{path}: expected the folder of a sweep or a table's file, found none")
    if path.suffix not in READERS:
        known = " or ".join(READERS)
        raise InputError(f"{path}: expected a table that ends in {known}, or a sweep's folder")
    try:
        return Sweep((READERS[path.suffix](path).lazy(),))
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: expected a table, found something else ({why(error)})") from None


def of_device(on: str, out: str) -> None:
    """Draw the error report of a device's calibration."""
    from hwmodel.validation.pictures import draw
    from hwmodel.verbs.validate import validate

    found = validate(on)
    draw(found.judged, Path(out), f"{device(on).title}: shapes never fitted")
