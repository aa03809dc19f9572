"""A program of torch.export as a stack: a kernel for each call that computes or moves something.

Calls that compute the same at one place of a model, such as a projection of all its layers, are one
stage, which runs as often. Each runs on its own, as in eager torch: nothing is fused that the
program does not call by one name.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.origin import Origin
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import CoverageError, InputError

MOST_TOLD = 5
"""Operators that a refusal names."""


WAY_OUT = (
    "what torch.export.export returns has run_decompositions(), which makes composite operators"
    " core ones, and most of those are modelled: save what it returns"
)


@checked
def exported(
    program: Any, open_sizes: Mapping[str, Any] | None = None, name: str | None = None
) -> Stack:
    """The calls of a program of torch.export: a `.pt2` file's path, or the program itself.

    `open_sizes` says what sizes that were left open are, by symbol (`{"s77": 8}`; default: as in
    the example that it was exported with). Raises `InputError` for what is no such program, and
    `CoverageError` that names the operators that are not modelled.
    """
    from hwmodel.einsum.importers.aten import kernels
    from hwmodel.einsum.importers.exported_program import read

    arguments: dict[str, Any] = {"program": program, "open_sizes": open_sizes, "name": name}
    found = read(program, open_sizes)
    made: dict[int, tuple[Cascade, int]] = {}
    unknown: list[str] = []
    for call in found.calls:
        try:
            for each in kernels(call):
                _, times = made.get(id(each), (each, 0))
                made[id(each)] = each, times + 1
        except CoverageError as error:
            unknown.append(f"{call.name}: {error}")
        except InputError as error:  # of a workload, whose arguments are not what its caller wrote
            raise InputError(f"{found.name}: {call.name}: {error}") from None
    if unknown:
        several = list(dict.fromkeys(unknown))
        more = f"; and {len(several) - MOST_TOLD} more" if len(several) > MOST_TOLD else ""
        raise CoverageError(f"{found.name}: {'; '.join(several[:MOST_TOLD])}{more}; {WAY_OUT}")
    if not made:
        raise InputError(f"{found.name}: expected a program that computes, found views alone")
    return Stack(
        name=name or found.name,
        stages=tuple(Stage(each, times) for each, times in made.values()),
        origin=Origin("exported", MappingProxyType(arguments), exported),
        warnings=_assumed(found.open_sizes, open_sizes or {}),
    )


def _assumed(taken: Mapping[str, int], given: Mapping[str, Any]) -> tuple[str, ...]:
    """What was taken from the example that a program was exported with."""
    left = {name: size for name, size in taken.items() if name not in given}
    if not left:
        return ()
    told = ", ".join(f"{name} is {size}" for name, size in left.items())
    return (f"sizes left open are those of the example: {told}; open_sizes says others",)
