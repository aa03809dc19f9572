"""Networks that run ahead of another on the same devices: what drafts tokens that a step verifies.

Each is predicted by itself and they run one after the other: seconds, bytes and joules add up, and
so do floors, since nothing of the one is another's. Kernels of those ahead are called "draft ...".
A network ahead that is divided over fewer devices runs on each group of so many alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hwmodel.einsum.network import Stack, Workload
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Estimate, Part

RIGHT = "drafts: {:.2f} tokens of a sequence are right in a step, as said of their acceptance"
Alone = Callable[[Workload, bool], Estimate]
"""A workload by itself, and whether the host schedules a step for it, to its estimate."""


def in_a_row(work: Workload, alone: Alone) -> Estimate:
    """The estimate of a workload with what runs ahead of it; of most, of the workload alone."""
    ahead: Sequence[tuple[Stack, int]] = getattr(work, "ahead", ())
    if not ahead:
        return alone(work, True)
    main = alone(work, True)
    before = [(alone(each, False), times) for each, times in ahead]
    parts = (_drafted(part, times) for each, times in before for part in each.parts)
    share = main.runs if main.runs is not None else main.devices
    makes = None if work.served is None else work.served.makes
    right = () if makes is None else (RIGHT.format(makes),)
    told = (text for each, _ in before for text in each.assumptions)
    warned = (text for each in (main, *(one for one, _ in before)) for text in each.everywhere)
    return replace(
        main,
        parts=(*parts, *main.parts),
        bound_bytes=main.bound_bytes
        + sum(t * each.bound_bytes * share / _runs(each) for each, t in before),
        bound_s=main.bound_s + sum(t * each.bound_s for each, t in before),
        assumptions=tuple(dict.fromkeys((*right, *main.assumptions, *told))),
        everywhere=tuple(dict.fromkeys(warned)),
    )


def _runs(each: Estimate) -> Amount:
    return each.devices if each.runs is None else each.runs


def _drafted(part: Part, times: int) -> Part:
    return replace(part, name=f"draft {part.name}", times=part.times * times)
