"""Every error that the package raises on purpose.

A message says where (file, line, field), what was expected, what was found and, where there is
one, the way out. The command line turns each family into its exit status, without a traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from hwmodel.quantity.printable import MESSAGE_CHARACTERS, cut, printable, shown

LONGEST_NAME = 100
"""Characters of a name for which a near one is sought: the search takes their square."""


NEAREST = 3
"""Near names that are told where not all are."""
ALL = 24
"""Names up to which a message lists all that exist."""
LISTS = {
    **{"device": "`hwmodel devices` lists them", "model config": "`hwmodel models` lists them"},
    "kernel": "`hwmodel kernels` lists them",
    "model config or workload": "`hwmodel models` and dir(hw.workloads) list them",
    "workload": "dir(hw.workloads) lists them",
}
"""Kind of name -> where all of them are told; of others the error's `known` has them."""


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The names that were meant, perhaps: m for M too."""
    folded = {each.casefold(): each for each in known}
    return [folded[each] for each in get_close_matches(name.casefold(), folded, n=most)]


class HwmodelError(Exception):
    """Catch this to catch what the package refuses, and none of its own bugs.

    Errors survive pickling as they are, whatever their class takes to be made, so that worker
    processes can send them.
    """

    exit_status = 1

    def __str__(self) -> str:
        """The message; what it quotes from files cannot steer a terminal, nor flood it."""
        return printable(cut(super().__str__(), MESSAGE_CHARACTERS))

    def __reduce__(self) -> tuple[Any, ...]:
        """By class, message and fields: `__init__` of a class may take something else."""
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[HwmodelError], args: tuple[Any, ...]) -> HwmodelError:
    made = kind.__new__(kind)
    made.args = args
    return made


class InputError(HwmodelError, ValueError):
    """Text, a size, a unit, a file or a name that cannot be accepted as given."""

    exit_status = 2


class UnknownNameError(InputError):
    """A name that its table does not have."""

    def __init__(
        self, what: str, name: object, known: Iterable[str], *, listed: str | None = None
    ) -> None:
        """Say which kind of name (`what`), the name given, and the names that exist.

        Where they are many, only the nearest are told, and where all are found (`listed`, or as
        `LISTS` has it).
        """
        self.name, self.known = name, tuple(sorted(known))
        text = name if isinstance(name, str) else shown(name)
        near = nearest(text, self.known, NEAREST) if len(text) <= LONGEST_NAME else []
        few = listed is None and len(self.known) <= ALL
        meant = " or ".join(map(repr, near[:1] if few else near))
        hint = f" (did you mean {meant}?)" if near else ""
        if few:
            listed = f"known: {', '.join(self.known) or 'none'}"
        elif listed is None:
            some = "" if near else f", such as {', '.join(self.known[:NEAREST])}"
            listed = f"{len(self.known)} are known{some}"
            listed += f"; {LISTS[what]}" if what in LISTS else ""
        super().__init__(f"unknown {what} {shown(name)}{hint}; {listed}")


class CoverageError(InputError):
    """A valid request that no model covers yet; the message names what would work."""


class MissingError(HwmodelError, ImportError):
    """A library that is not installed; the message names the extra that brings it."""

    exit_status = 2


class CapacityError(HwmodelError):
    """Something does not fit where it has to live; the message says by how much."""

    exit_status = 3


class SolverError(HwmodelError):
    """A solver ended without any answer: infeasible, or stopped before it found one."""

    exit_status = 3
