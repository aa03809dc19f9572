"""Functions: which function of a processing element does each operation of an Einsum, in how long.

A multiplication whose products are summed is a multiply-accumulate; a lone one uses the same
unit. A function that an element lacks may be composed of multiply-accumulates (`Array.macs`): an
exponential of six on FuseMax's elements. An Einsum's point takes the cycles of its functions one
after the other, or one step where they form a pipeline.
"""

from collections.abc import Mapping

from hwmodel.einsum.cascade import Apply, Cascade, Einsum, Expression
from hwmodel.einsum.operators import OPERATORS
from hwmodel.hardware.hardware import Array, Hardware
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation, Rates

FUNCTIONS = {"subtract": "add", "multiply": "mac", "min": "max", "compare": "max"}
"""Kind of operation -> the function that does it; other kinds go by their own names."""

FILL = "fill"
"""Latency of an array that fills and drains for a tile, in cycles."""


def functions_of(einsum: Einsum) -> dict[str, int]:
    """Actions of each function at one point of an Einsum."""
    kinds: dict[str, int] = {}
    _count(einsum.expression, kinds)
    summed = 0
    for operator in dict.fromkeys(name for _, name in einsum.reductions):
        for kind, times in OPERATORS[operator].kinds:
            if kind == "add" and "multiply" in kinds:
                summed += times
            else:
                kinds[kind] = kinds.get(kind, 0) + times
    found: dict[str, int] = {}
    for kind, times in kinds.items():
        name = FUNCTIONS.get(kind, kind)
        found[name] = found.get(name, 0) + times
    return found


def _count(expression: Expression, kinds: dict[str, int]) -> None:
    if isinstance(expression, Apply):
        for kind, times in OPERATORS[expression.operator].kinds:
            kinds[kind] = kinds.get(kind, 0) + times
        for argument in expression.arguments:
            _count(argument, kinds)


def actions(einsum: Einsum, array: Array, name: str) -> dict[str, Amount]:
    """Actions of the functions that an array has at one point; raises `CoverageError`."""
    found: dict[str, Amount] = {}
    for function, times in functions_of(einsum).items():
        made = function not in array.cycles
        if made and function not in array.macs:
            known = ", ".join((*array.cycles, *array.macs))
            raise CoverageError(
                f"{einsum.name}: expected functions that the {name} array has ({known}), found"
                f" {function}; another machine or array may have it"
            )
        key = "mac" if made else function
        found[key] = found.get(key, 0) + times * (array.macs[function] if made else 1)
    return found


def cycles(found: Mapping[str, Amount], array: Array, *, chained: bool = False) -> Amount:
    """Steps that the actions at one point take."""
    if chained:
        return 1
    return sum(times * array.cycles[name] for name, times in found.items())


def dtype_of(cascade: Cascade, hardware: Hardware, tensor: str) -> str:
    """The format of a tensor, which the machine's elements must know."""
    dtype = cascade.tensors[tensor].dtype
    hardware.rate("matrix", dtype)
    return dtype


def operation(function: str, dtype: str) -> Operation:
    """The key under which an activity counts a function's operations."""
    return function, "flop", dtype


def flop(function: str) -> int:
    """Operations of one action: a multiply-accumulate is two."""
    return 2 if function == "mac" else 1


def rates(hardware: Hardware, operations: Mapping[Operation, Amount]) -> Rates:
    """Rates of a machine whose arrays make a step a cycle; its functions keep pace with them."""
    speeds = {name: memory.bandwidth_bytes_per_s for name, memory in hardware.memories.items()}
    step_s = 1 / hardware.clock_hz
    return Rates(
        of=hardware.name,
        operations=dict.fromkeys(operations, float("inf")),
        read=speeds,
        written=speeds,
        slots={name: (name, step_s) for name in (*hardware.arrays, FILL)},
        operation_j={key: hardware.functions[key[0]].energy_j / flop(key[0]) for key in operations},
        byte_j={name: memory.energy_j_per_byte for name, memory in hardware.memories.items()},
        static_w=hardware.power.idle_w,
    )
