"""`hwmodel explain` and `hwmodel sensitivity`: why a prediction is what it is, what moves it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import Workload
from hwmodel.quantity.errors import InputError
from hwmodel.verbs.request import answerer, builder, machine, read
from hwmodel.whatif.attribution import Attribution, attribute
from hwmodel.whatif.breakeven import BreakEven, break_even
from hwmodel.whatif.explanation import Explanation, explain
from hwmodel.whatif.sensitivity import Sensitivity, sensitivity


def asked(fields: Mapping[str, Any]) -> tuple[Workload, Hardware, str | None]:
    """The workload, the machine and the kernel that a request's fields mean."""
    request = read(fields)
    work = builder(request.fixed)(request.sizes)
    return work, machine(request.fixed["on"], request.fixed.get("tp")), request.fixed.get("kernel")


def explained(fields: Mapping[str, Any], on: Sequence[str]) -> Explanation | Attribution:
    """On one machine, the explanation; on two, what the difference between them is due to."""
    if not 1 <= len(on) <= 2:
        raise InputError(f"--on: expected one device, or two to compare, found {len(on)}")
    if len(on) == 2:
        (work, before, kernel), (_, after, _) = (asked({**fields, "on": name}) for name in on)
        return attribute(work, [before, after], kernel=kernel)
    given = {**fields, "on": on[0]}
    if given["workload"] == "collective":
        request = read(given)
        return explain(answerer(request.form)(request.sizes))
    work, only, kernel = asked(given)
    return explain(work, only, kernel=kernel)


def moved(
    fields: Mapping[str, Any],
    *,
    swing: float,
    number: str | None = None,
    to: str | None = None,
    picture: str | None = None,
) -> Sensitivity | BreakEven:
    """Elasticities and swings; or, with `number`, the values of it at which what binds changes."""
    work, on, kernel = asked(fields)
    if number is not None:
        if picture is not None:
            raise InputError("--picture: expected no --break-even with it; it draws the swings")
        return break_even(work, on, number, to=to, kernel=kernel)
    if to is not None:
        raise InputError("--to: expected --break-even with it; it names what binds from there on")
    found = sensitivity(work, on, kernel=kernel, swing=swing)
    if picture is not None:
        from hwmodel.show.pictures.tornado import tornado

        tornado(found, Path(picture))
    return found
