"""What a method of quantising makes of its table: rules by module, and the format of the cache."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.modules import Pattern
from hwmodel.einsum.workloads.quantisation.table import Table

EXCLUDED = (
    *("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "exclude"),
    *("llm_int8_skip_modules", "skip_modules"),
)
"""Keys that list what is not quantised, under any method."""


@dataclass(frozen=True)
class Rule:
    """Modules that a pattern means, and their formats; None: they stay as stored."""

    pattern: Pattern
    formats: ModuleFormats | None = None


@dataclass(frozen=True)
class Said:
    """What a method's table says.

    Attributes:
        otherwise: formats of linear layers that no rule means; None: as stored.
        rules: by module, of which the first that means it decides; exclusions come before them.
        head: whether the language-model head is a linear layer like others.
        towers: whether layers of towers beside the language model are, too.
        excludes: whether the usual lists of names (`EXCLUDED`) hold.
        kv: format of keys and values; None: as activations.
        warnings: what could not be followed.
        exact: formats of modules by the words of their whole path, before all rules.
    """

    otherwise: ModuleFormats | None
    rules: tuple[Rule, ...] = ()
    head: bool = False
    towers: bool = False
    excludes: bool = True
    kv: str | None = None
    warnings: tuple[str, ...] = ()
    exact: Mapping[tuple[str, ...], ModuleFormats] = field(default_factory=lambda: {})


@dataclass(frozen=True)
class Method:
    """A way of quantising: how its table is read, and the keys that are read or change no count."""

    read: Callable[[Table], Said]
    keys: frozenset[str] = field(default_factory=lambda: frozenset[str]())


def method(read: Callable[[Table], Said], keys: str) -> Method:
    """A method and its keys, apart by spaces."""
    return Method(read, frozenset(keys.split()))
