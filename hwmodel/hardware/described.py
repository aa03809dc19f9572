"""What rules about numbers read of a machine: its parts and where each number is from.

`peaks` and `levers` say what follows a what-if; a machine asks them (`hardware`). They know it by
these names alone.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Described(Protocol):
    """A machine as its description states it; `hardware.Hardware` is one."""

    @property
    def kind(self) -> str:
        """Class of the machine: gpu, spatial, fpga, mcu, cpu."""
        ...

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        ...

    @property
    def processors(self) -> Any:
        """What its processors are, and how many."""
        ...

    @property
    def clock_hz(self) -> Any:
        """Cycles a second."""
        ...

    @property
    def matrix_clock_hz(self) -> Any:
        """Of the matrix units, where their peaks are stated at another; None: the same."""
        ...

    @property
    def units(self) -> Mapping[str, Any]:
        """Units that compute, by name."""
        ...

    @property
    def memories(self) -> Mapping[str, Any]:
        """Memories by level."""
        ...

    @property
    def resources(self) -> Mapping[str, Any]:
        """Resources of an FPGA by name."""
        ...

    @property
    def functions(self) -> Mapping[str, Any]:
        """Functions whose joules are stated, by name."""
        ...

    @property
    def link(self) -> Any:
        """What joins it to others of its kind; None without."""
        ...

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each number is from, by its path."""
        ...
