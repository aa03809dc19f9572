"""Schedules by name, as an `Execution` states them."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from hwmodel.quantity.errors import UnknownNameError
from hwmodel.systems.pipelines.building_blocks import v_half, v_min
from hwmodel.systems.pipelines.dualpipe import dualpipe, dualpipe_v
from hwmodel.systems.pipelines.in_order import gpipe, interleaved, one_f_one_b, zb_h1
from hwmodel.systems.pipelines.schedule import Layout, Passes, Schedule, both_ends, in_a_v, looped
from hwmodel.systems.pipelines.zero_bubble import zb_h2, zb_v

Maker = Callable[[int, int, int, Passes], Schedule]
"""(ranks, chunks a rank, micro-batches, seconds of each stage's passes) -> the schedule."""

SCHEDULES: Mapping[str, Maker] = {
    "gpipe": lambda p, v, m, passes: gpipe(p, m),
    "1f1b": lambda p, v, m, passes: one_f_one_b(p, m),
    "interleaved": lambda p, v, m, passes: interleaved(p, v, m),
    "zb-h1": lambda p, v, m, passes: zb_h1(p, m),
    "zb-h2": lambda p, v, m, passes: zb_h2(p, m, passes),
    "zb-v": lambda p, v, m, passes: zb_v(p, m, passes),
    "v-half": lambda p, v, m, passes: v_half(p, m, passes),
    "v-min": lambda p, v, m, passes: v_min(p, m, passes),
    "dualpipe": lambda p, v, m, passes: dualpipe(p, m),
    "dualpipe-v": lambda p, v, m, passes: dualpipe_v(p, m),
}

IN_A_V = ("zb-v", "v-half", "v-min", "dualpipe-v")


def scheduled(
    name: str, ranks: int, micro_batches: int, passes: Passes, *, chunks: int = 1
) -> Schedule:
    """The schedule of a name; what its rules refuse raises `InputError`."""
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, SCHEDULES)
    return SCHEDULES[name](ranks, chunks, micro_batches, passes)


@lru_cache(maxsize=256)
def layout_of(name: str, ranks: int, chunks: int = 1) -> Layout:
    """Which stages each rank holds under a schedule."""
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, SCHEDULES)
    if name == "dualpipe":
        return both_ends(ranks)
    return in_a_v(ranks) if name in IN_A_V else looped(ranks, chunks)
