"""`kernels`: what each library's kernels exist for, as a table or JSON.

The rows are those of each library (`Library.support`), by which calls are refused.
"""

from typing import Any, ClassVar

from hwmodel.machines.gpu.libraries.library import GENERATIONS, Support
from hwmodel.machines.gpu.libraries.shipped import SHIPPED
from hwmodel.text.grid import grid
from hwmodel.verbs.ask import Question


class Kernels(Question):
    """What each library's kernels take: formats, GPUs, head dimensions, alignments."""

    verb: ClassVar[str] = "kernels"
    example: ClassVar[str] = "kernels"

    def answer(self) -> list[dict[str, Any]]:
        """The rows by which calls are refused."""
        return record()

    def record(self, answer: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One table of fields a library."""
        return answer

    def text(self, answer: Any) -> str:
        """One row a library and its schedules."""
        return kernels_text()


def kernels_text() -> str:
    """One row a library and its schedules, then where each row is read."""
    rows = [
        [
            library,
            ", ".join(line.schedules),
            "; ".join(
                f"{', '.join(formats)}{'' if places == GENERATIONS else f' on {_places(places)}'}"
                for places, formats in _by_places(line).items()
            ),
            ", ".join(line.narrow) or "-",
            _sizes(line),
        ]
        for library, line in _table()
    ]
    heads = ("library", "schedules", "formats of both operands", "weights or keys in", "sizes")
    sources = (
        f"{library} ({', '.join(line.schedules)}): {line.source}" for library, line in _table()
    )
    named = f"names for kernel: {', '.join(SHIPPED)}; row kernels take any format"
    return "\n\n".join((grid(heads, rows, left=(0, 1, 2, 3, 4)), named, "\n".join(sources)))


def record() -> list[dict[str, Any]]:
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
        for library, line in _table()
    ]


def _table() -> list[tuple[str, Support]]:
    """Name of each library with what some of its kernels take."""
    return [(name, line) for name, library in SHIPPED.items() for line in library.support]


def _by_places(line: Support) -> dict[tuple[str, ...], list[str]]:
    """Formats that both operands may have, grouped by the generations that take them."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name, places in line.formats.items():
        found.setdefault(places, []).append(name)
    return found


def _places(places: tuple[str, ...]) -> str:
    return ", ".join(places)


def _sizes(line: Support) -> str:
    """Head dimensions and multiples."""
    heads = sorted(set(line.head_dim.values()))
    words = [f"head_dim to {heads[-1]}"] if heads else []
    words += [f"{line.query_rows} query rows of a KV head"] if line.query_rows else []
    for name, sizes in line.multiples.items():
        words.append(f"{name}: " + ", ".join(f"{size} of {of}s" for size, of in sizes.items()))
    return "; ".join(words) or "-"
