"""What is worked out of a cascade once, and kept with it: what its tensors hold, what it becomes.

A cascade never changes, so that what follows from it alone can stay with it for as long as it
lives. What holds arrays does not: a sweep's would fill the memory. What follows from its form, that
is without its numbers, stays with the form: a cascade of another size finds it there.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.quantity.remembered import PLAIN, single

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
            key = (function, more, *given.items()) if given else (function, more)
            answer = cascade.known.get(key, _UNKNOWN)
            if answer is _UNKNOWN:
                answer = function(cascade, *more, **given)
                if answer.__class__ in PLAIN or keep(answer):
                    cascade.known[key] = answer
            return answer

        return call

    return decorated


def of_form(
    function: Callable[Concatenate[Cascade, P], R],
) -> Callable[Concatenate[Cascade, P], R]:
    """A function that looks at no number of a cascade: one answer for all of a form.

    Beside the cascade it takes words, and what is part of Einsums.
    """

    @wraps(function)
    def call(cascade: Cascade, *more: P.args, **given: P.kwargs) -> R:
        kept = cascade.form.known
        key = (function, more, *given.items()) if given else (function, more)
        answer = kept.get(key, _UNKNOWN)
        if answer is _UNKNOWN:
            answer = kept[key] = function(cascade, *more, **given)
        return answer

    return call


def at_one_size(cascade: Cascade) -> bool:
    """Whether all numbers of a cascade are single ones; one with bands is taken not to be."""
    if not all([isinstance(rank.size, (int, float)) for rank in cascade.ranks.values()]):
        return False
    return not any(
        [
            each.bands or not isinstance(share, (int, float))
            for each in cascade.einsums
            for share in (each.density, each.probability)
        ]
    )
