"""A table of a checkpoint's config, read key by key: what is wrong is said with its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from hwmodel.einsum.workloads.quantisation.modules import Pattern, pattern
from hwmodel.quantity.dtypes import DTYPES
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown


@dataclass(frozen=True)
class Table:
    """`given` under the name `where`; `stored` is the format of what is not quantised."""

    where: str
    given: Mapping[str, Any]
    stored: str

    def get(self, key: str, otherwise: Any = None) -> Any:
        """A value as it is; null counts as absent."""
        found = self.given.get(key)
        return otherwise if found is None else found

    def number(self, key: str, otherwise: int | None = None) -> int:
        """A whole number; `otherwise` where the key is absent."""
        found = self.get(key, otherwise)
        if isinstance(found, bool) or not isinstance(found, int):
            raise self.wrong(key, "a whole number", found)
        return found

    def table(self, key: str) -> "Table":
        """A table within this one; empty where the key is absent."""
        found = self.get(key, {})
        if not isinstance(found, Mapping):
            raise self.wrong(key, "a table", found)
        return self.of(key, cast(Mapping[str, Any], found))

    def of(self, key: str, given: Mapping[str, Any]) -> "Table":
        """Another table, under a key of this one."""
        return Table(f"{self.where}.{key}", given, self.stored)

    def names(self, *keys: str) -> tuple[str, ...]:
        """The names in the lists under some keys."""
        found: list[str] = []
        for key in keys:
            names = self.get(key, [])
            if not isinstance(names, list) or not all(isinstance(n, str) for n in names):  # pyright: ignore[reportUnknownVariableType]
                raise self.wrong(key, "a list of names", names)
            found += cast(list[str], names)
        return tuple(found)

    def patterns(self, *keys: str) -> tuple[Pattern, ...]:
        """The names in the lists under some keys, as patterns of modules."""
        return tuple(
            pattern(f"{self.where}.{key}", name) for key in keys for name in self.names(key)
        )

    def wrong(self, key: str, wanted: str, found: Any) -> InputError:
        """What is raised where a value is of another kind."""
        return InputError(f"{self.where}.{key}: expected {wanted}, found {shown(found)}")

    def unmodelled(self, key: str, found: Any, wanted: str) -> CoverageError:
        """What is raised where a value means what no rule here knows."""
        text = found if isinstance(found, (int, float)) else shown(found)
        return CoverageError(f"{self.where}.{key}: {text} is not modelled; {wanted}")


def integers(table: Table, key: str, bits: Any, group: Any, extra: int) -> str:
    """The format of whole numbers of so many bits, `extra` bits to each group of inputs.

    A scale for a whole channel or tensor (no group) is not counted: its 16 or 32 bits are shared by
    the thousands of weights of a row.
    """
    if not isinstance(bits, int) or f"int{bits}" not in DTYPES or bits > 8:
        raise table.unmodelled(key, bits, "expected 1 to 8 bits")
    if group in (None, -1, 0):
        return f"int{bits}"
    if isinstance(group, bool) or not isinstance(group, int) or group < 1:
        wanted = "a number of inputs per scale, such as 128, or -1 for one scale a channel"
        raise table.wrong("group_size", wanted, group)
    return f"int{bits}@{group}:{extra}"


def block(table: Table, key: str, sides: Any) -> str:
    """fp8 with an fp32 scale for each block of weights of these two sides; without: fp8 alone."""
    if sides is None:
        return "fp8"
    both = cast(list[Any], sides) if isinstance(sides, list) else []
    if len(both) != 2 or not all(isinstance(side, int) and side > 0 for side in both):
        raise table.wrong(key, "two whole numbers", sides)
    return f"fp8@{both[0] * both[1]}:32"
