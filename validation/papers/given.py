"""What a program of claims is given: numbers of its workload and its machines, one of them changed.

    tokens = given("tokens", 8192)      # 16,384 where "tokens" is the input that is changed
    gpu = given.device("h100")          # with twice the bandwidth where "h100: bandwidth" is

A figure that no such change moves would hold whatever the model said.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import InputError

T = TypeVar("T")
P = ParamSpec("P")


class Given:
    """Inputs as they are published, or with the one named `changed` in its other value."""

    def __init__(self, changed: str = "") -> None:
        self.changed = changed
        self.inputs: dict[str, str] = {}
        """Every input that was asked for, and what a change of it puts in its place."""
        self.factors: set[str] = set()
        """Those that are 1 as published: they stand for nothing but the change itself."""
        self._machines: dict[str, Hardware] = {}
        self._kept: dict[Any, Any] = {}

    def __call__(self, name: str, value: T, instead: T | None = None) -> T:
        """A number or a word of the workload; `instead`, or twice of it, where it is changed."""
        number: Any = value
        other: T = 2 * number if instead is None else instead
        self.inputs.setdefault(name, f"{_said(value)} to {_said(other)}")
        if number == 1:
            self.factors.add(name)
        return other if name == self.changed else value

    def device(self, which: str | Hardware) -> Hardware:
        """A machine, or one with twice of a number."""
        machine = device(which) if isinstance(which, str) else which
        if machine.name not in self._machines:
            self._machines[machine.name] = machine
            for what, other in doubled(machine).items():
                name = f"{machine.name}: {what}"
                self.inputs.setdefault(name, "twice")
                if name == self.changed:
                    self._machines[machine.name] = other
        return self._machines[machine.name]

    def once(
        self, program: Callable[Concatenate["Given", P], T], *words: P.args, **named: P.kwargs
    ) -> T:
        """What a function makes of these inputs, worked out once."""
        key = (program, words, tuple(sorted(named.items())))
        if key not in self._kept:
            self._kept[key] = program(self, *words, **named)
        return self._kept[key]


def doubled(machine: Hardware) -> Mapping[str, Hardware]:
    """The machine with twice of each number that it lets one change, by the number's name.

    An array's rates follow from its sides and its clock: those alone are changed there.
    """
    outer, memory = next(iter(machine.memories.items()))
    units = {
        name: {"rate_per_s": {kind: 2 * rate for kind, rate in unit.rate_per_s.items()}}
        for name, unit in machine.units.items()
    }
    rate, room = memory.bandwidth_bytes_per_s, memory.capacity_bytes
    changes: dict[str, dict[str, Any]] = {
        "bandwidth": {"memories": {outer: {"bandwidth_bytes_per_s": 2 * rate}}},
        "rates": {"units": units},
        "clock": {"clock_hz": 2 * machine.clock_hz},
        "memory": {"memories": {outer: {"capacity_bytes": 2 * room}}},
    }
    found: dict[str, Hardware] = {}
    for what, change in changes.items():
        with suppress(InputError):
            found[what] = machine.but(**change)
    return found


def _said(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
