"""Every error that the package raises on purpose.

A message says where (file, line, field), what was expected, what was found and, where there is
one, the way out. The command line turns each family into its exit status, without a traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The name that was meant, perhaps: m for M too."""
    folded = {each.casefold(): each for each in known}
    return [folded[each] for each in get_close_matches(name.casefold(), folded, n=1)]


class HwmodelError(Exception):
    """Catch this to catch what the package refuses, and none of its own bugs."""

    exit_status = 1


class InputError(HwmodelError, ValueError):
    """Text, a size, a unit, a file or a name that cannot be accepted as given."""

    exit_status = 2


class UnknownNameError(InputError):
    """A name that its table does not have."""

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        """Say which kind of name (`what`), the name given, and the names that exist."""
        self.name, self.known = name, tuple(sorted(known))
        near = nearest(str(name), self.known)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        super().__init__(f"unknown {what} {name!r}{hint}; known: {', '.join(self.known) or 'none'}")


class CoverageError(InputError):
    """A valid request that no model covers yet; the message names what would work."""


class CapacityError(HwmodelError):
    """Something does not fit where it has to live; the message says by how much."""

    exit_status = 3


class SolverError(HwmodelError):
    """A solver ended without any answer: infeasible, or stopped before it found one."""

    exit_status = 3
