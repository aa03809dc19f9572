"""Tables whose values stand in modules of their own, each loaded when it is first asked for.

What is chosen by name among many (kernel libraries, modifiers, engines) is one file each; an answer
needs a few of them, and a command waits for no other.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

Each = TypeVar("Each")


class Lazily(Mapping[str, Each], Generic[Each]):
    """Name -> value, of a table from names to "module:NAME"; names alone load nothing.

    >>> Lazily({"pi": "math:pi"})["pi"]
    3.141592653589793
    """

    def __init__(
        self, places: Mapping[str, str], find: Callable[[Any, str], Any] = getattr
    ) -> None:
        """`places` says where each value stands, `find` takes it out of its module by NAME."""
        self._places, self._find = dict(places), find
        self._found: dict[str, Each] = {}

    def __getitem__(self, name: str) -> Each:
        """The value; its module is loaded the first time."""
        if name not in self._found:
            module, _, called = self._places[name].partition(":")
            self._found[name] = cast(Each, self._find(import_module(module), called))
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of the table."""
        return iter(self._places)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        """Whether a name is one of the table's; loads nothing."""
        return name in self._places
