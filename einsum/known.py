"""What is worked out of a cascade once, and kept with it: what its tensors hold, what it becomes.

A cascade never changes, so that what follows from it alone can stay with it for as long as it
lives. What holds arrays does not: a sweep's would fill the memory.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.quantity.remembered import single

P = ParamSpec("P")
R = TypeVar("R")
_UNKNOWN: Any = object()


def known(
    keep: Callable[[Any], bool] = single,
) -> Callable[[Callable[Concatenate[Cascade, P], R]], Callable[Concatenate[Cascade, P], R]]:
    """A function of a cascade and of words, that works out each answer once; `keep` says which."""

    def decorated(
        function: Callable[Concatenate[Cascade, P], R],
    ) -> Callable[Concatenate[Cascade, P], R]:
        @wraps(function)
        def call(cascade: Cascade, *more: P.args, **given: P.kwargs) -> R:
            key = (function, *more, *given.items())
            answer = cascade.known.get(key, _UNKNOWN)
            if answer is _UNKNOWN:
                answer = function(cascade, *more, **given)
                if keep(answer):
                    cascade.known[key] = answer
            return answer

        return call

    return decorated


def at_one_size(cascade: Cascade) -> bool:
    """Whether every rank has a single size."""
    return all(isinstance(rank.size, (int, float)) for rank in cascade.ranks.values())
