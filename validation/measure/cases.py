"""Cases of a sitting and what builds them, read off the libraries that they measure."""

from collections.abc import Callable, Iterator
from typing import Any

from hwmodel.machines.gpu.libraries.importable import imported
from hwmodel.machines.gpu.libraries.shipped import SHIPPED, library
from hwmodel.quantity.errors import CoverageError
from hwmodel.validation.measure.shapes import Case


def build_of(case: Case) -> Callable[[Any], Any]:
    """What makes the inputs and the call of a case, as its library says."""
    measured = library(case.kernel).measured
    if measured is None:
        raise CoverageError(
            f"kernel {case.kernel!r}: its library does not say how it is measured"
            " (Library.measured)"
        )
    return imported(measured.builder)(case)


def all_streams(seed: int) -> dict[str, Iterator[Case]]:
    """Cases of every shipped library, by the names of the stages of a sitting."""
    measured = (each.measured for each in SHIPPED.values() if each.measured is not None)
    names = dict.fromkeys(name for each in measured for name in each.cases)
    found: dict[str, Iterator[Case]] = {}
    for name in names:
        found |= imported(name)(seed)
    return found
