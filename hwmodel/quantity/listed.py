"""Names and what they stand for, as one value that editors and notebooks complete.

`hw.devices()` is a tuple of names, `hw.devices["h200"]` and `hw.devices.h200` the device: behind a
dot each sign that no identifier has is an underscore (`hw.models.llama_3_1_8b`).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from typing import Any, Generic, TypeVar

from hwmodel.quantity.checked import named
from hwmodel.quantity.errors import UnknownNameError

Each = TypeVar("Each")


def identifier(name: str) -> str:
    """A name as it is said behind a dot.

    >>> identifier("llama-3.1-8b")
    'llama_3_1_8b'
    """
    return re.sub(r"\W", "_", name)


class Listed(Generic[Each]):
    """A list of names by calling it, and what each stands for behind a dot or in brackets."""

    def __init__(
        self,
        call: Callable[..., Any],
        make: Callable[[str], Each],
        names: Callable[[], Iterable[str]],
    ) -> None:
        """`call` is what a call answers, and `make` says what one of the names stands for."""
        self.__module__, self.__name__ = call.__module__, call.__name__
        self.__qualname__, self.__doc__ = call.__qualname__, call.__doc__
        self.__signature__ = signature(call)
        self._call, self._make, self._names = call, make, names

    def __call__(self, *args: Any, **given: Any) -> Any:
        """What is listed."""
        return self._call(*args, **given)

    def __getitem__(self, name: str) -> Each:
        """What a name stands for; raises `UnknownNameError`."""
        return self._make(name)

    def __getattr__(self, name: str) -> Each:
        """The same behind a dot; `AttributeError` says which names there are."""
        if not name.startswith("_"):
            known = {identifier(each): each for each in self._names()}
            if name in known:
                return self._make(known[name])
            raise AttributeError(str(UnknownNameError(self.__name__.rstrip("s"), name, known)))
        raise AttributeError(name)

    def __iter__(self) -> Iterator[str]:
        """The names, as of a table."""
        return iter(self._names())

    def __len__(self) -> int:
        """How many there are."""
        return len(tuple(self._names()))

    def __contains__(self, name: object) -> bool:
        """Whether there is one of that name."""
        return name in tuple(self._names())

    def __dir__(self) -> list[str]:
        """Names as they are said behind a dot."""
        return sorted(identifier(each) for each in self._names())

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._names())

    def __reduce__(self) -> str:
        """Pickled by where it stands."""
        return self.__qualname__

    def __repr__(self) -> str:
        """Its name, how many there are, and the first of them."""
        names = list(self._names())
        told = ", ".join(names[:6])
        return f"<{self.__name__}: {len(names)}, {told}{', ...' if len(names) > 6 else ''}>"


def listed(make: Callable[[str], Each]) -> Callable[[Callable[[], tuple[str, ...]]], Listed[Each]]:
    """A function that lists names, with what `make` says that each stands for."""
    return lambda function: Listed(named(function), make, function)
