"""`kernels`: what each library's kernels exist for, as a table or JSON; with a name, of one.

The rows are those of each library (`Library.support`), by which calls are refused.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from hwmodel.machines.gpu.libraries.library import Support
from hwmodel.machines.gpu.libraries.shipped import SHIPPED, library
from hwmodel.show.software import TAKES, takes
from hwmodel.text.grid import grid
from hwmodel.verbs.ask import Question, Word


class Kernels(Question):
    """What each library's kernels take: formats, GPUs, head dimensions, alignments."""

    verb: ClassVar[str] = "kernels"
    example: ClassVar[str] = "kernels cublas"

    name: Annotated[
        str | None, Word("A library: its kernels alone.", place=True, complete="kernels")
    ] = None

    def answer(self) -> list[dict[str, Any]]:
        """The rows by which calls are refused."""
        return record(self._names())

    def record(self, answer: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One table of fields a library."""
        return answer

    def text(self, answer: Any) -> str:
        """One row a library and its schedules; of one, all of it."""
        return kernels_text() if self.name is None else str(library(self.name))

    def _names(self) -> Sequence[str]:
        return tuple(SHIPPED) if self.name is None else (library(self.name).name,)


def kernels_text() -> str:
    """One row a library and its schedules, then where each row is read."""
    rows = [[name, *takes(line)] for name, line in _table(tuple(SHIPPED))]
    heads = ("library", *TAKES)
    sources = (
        f"{name} ({', '.join(line.schedules)}): {line.source}"
        for name, line in _table(tuple(SHIPPED))
    )
    named = f"names for kernel: {', '.join(SHIPPED)}; row kernels take any format"
    return "\n\n".join((grid(heads, rows, left=range(len(heads))), named, "\n".join(sources)))


def record(names: Sequence[str]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [
        {
            "library": library,
            "schedules": list(line.schedules),
            "formats": {name: list(places) for name, places in line.formats.items()},
            "narrow": list(line.narrow),
            "alike": None if line.alike is None else list(line.alike),
            "head_dim": dict(line.head_dim),
            "query_rows": line.query_rows,
            "multiples": {name: dict(sizes) for name, sizes in line.multiples.items()},
            "elsewhere": dict(line.elsewhere),
            "source": line.source,
        }
        for library, line in _table(names)
    ]


def _table(names: Sequence[str]) -> list[tuple[str, Support]]:
    """Name of each library with what some of its kernels take."""
    return [(name, line) for name in names for line in library(name).support]
