"""Dataflow: which tensor of a product rests in the elements of an array, what lies along its sides.

A dataflow is data (`hardware/devices/dataflows/*.yaml`, or a file of the user's): a mapper searches
tiles and loops, and the dataflow says what it must keep to. Tensors go by their part in a product
Z = A B: `output` Z, `input` A, `weight` B. A side lists ranks as the tensors that share them:
`[input, weight]` are the ranks that both have and the output lacks, which are summed. Of a
convolution, `first window` and `second window` beside them are those ranks alone that meet another
one on the first or second such axis of a tensor (down and across an image), `no window` the others.

    stationary   the tensor whose registers are filled before the others', and so least often
    rows         what may lie along the array's rows
    columns      what may lie along its columns
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from hwmodel.einsum.cascade import Einsum
from hwmodel.quantity.errors import CoverageError, UnknownNameError
from hwmodel.quantity.value import Value
from hwmodel.quantity.yaml import table

DATAFLOWS = Path(__file__).resolve().parents[2] / "hardware" / "devices" / "dataflows"
SUFFIXES = (".yaml", ".yml")
"""Names of dataflows that end so are paths."""

Role: TypeAlias = Literal["output", "input", "weight"]
Where: TypeAlias = Literal["first window", "second window", "no window"]
WINDOWS: tuple[Where, ...] = ("first window", "second window")


class Dataflow(Value):
    """What a mapping of a product on an array keeps to."""

    name: str
    title: str
    source: str
    stationary: Role
    rows: tuple[tuple[Role | Where, ...], ...]
    columns: tuple[tuple[Role | Where, ...], ...]

    def tensors(self, einsum: Einsum) -> dict[str, str]:
        """The tensor of each part; raises `CoverageError` for what is no product of two."""
        reads = tuple(dict.fromkeys(access.tensor for access in einsum.reads))
        if len(reads) != 2:
            raise CoverageError(
                f"Einsum {einsum.name}: dataflow {self.name} is of products of two tensors, found"
                f" {len(reads)} that are read; leave the dataflow out, and any spread is searched"
            )
        return dict(zip(("output", "input", "weight"), (einsum.name, *reads), strict=True))

    def along(self, side: str, einsum: Einsum) -> frozenset[str]:
        """Ranks that may lie along "rows" or "columns"."""
        tensors = self.tensors(einsum)
        has = {access.tensor: set(access.ranks) for access in (einsum.output, *einsum.reads)}
        found: set[str] = set()
        for words in self.rows if side == "rows" else self.columns:
            roles = [word for word in words if word in tensors]
            shared = set(einsum.ranks).intersection(*(has[tensors[role]] for role in roles))
            others = [has[tensors[role]] for role in tensors if role not in roles]
            shared = shared.difference(*others)
            for word in words:
                shared = shared & _windowed(einsum, word) if word not in tensors else shared
            found |= shared
        return frozenset(found)


def _windowed(einsum: Einsum, word: str) -> set[str]:
    """Ranks that meet another one on the first or second axis where any do, or on none."""
    axes = [
        {rank for rank, _ in index.terms}
        for access in einsum.reads
        for index in access.indices
        if len(index.terms) > 1
    ]
    if word == "no window":
        return set(einsum.ranks).difference(*axes)
    at = WINDOWS.index(word) if word in WINDOWS else len(axes)
    return axes[at] if at < len(axes) else set()


def dataflows() -> tuple[str, ...]:
    """Names of the shipped dataflows."""
    return tuple(sorted(path.stem for path in DATAFLOWS.glob("*.yaml")))


def dataflow(name: str) -> Dataflow:
    """A dataflow by its name, or by the path of a user's own YAML file.

    Raises `UnknownNameError`, and `InputError` for a file that is none.

    >>> dataflow("weight-stationary").stationary
    'weight'
    """
    path = Path(name) if Path(name).suffix in SUFFIXES else DATAFLOWS / f"{name}.yaml"
    if Path(name).suffix not in SUFFIXES and name not in dataflows():
        raise UnknownNameError("dataflow", name, dataflows())
    return _read(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=64)
def _read(path: Path, written_ns: int) -> Dataflow:
    """A dataflow's file; one that was written anew is read anew."""
    del written_ns
    data = table(path, "a dataflow")
    return Dataflow.build({"name": path.stem, **data}, where=str(path))
