"""Zero-bubble schedules in more memory than 1F1B's: gradients of weights fill what would be waits.

    zb-h2   up to 2 p - 1 micro-batches a rank: as many forwards as fit, then backwards before
            forwards before weight gradients (Qi et al., arXiv 2401.10241)
    zb-v    stages in a V, up to 2 p of their half-sized micro-batches, 1F1B's memory (ibid.);
            where passes differ, a building block in that memory if it is faster (arXiv 2405.15362)

With equal stages and passes only the way of the first micro-batch to the last rank is waited for,
(p - 1) F; a step whose optimiser does not wait for all ranks hides that too.
"""

from hwmodel.quantity.errors import InputError
from hwmodel.systems.pipelines.building_blocks import faster
from hwmodel.systems.pipelines.dispatch import Pick, Ready, dispatched
from hwmodel.systems.pipelines.schedule import Passes, Schedule, at_least, in_a_v, looped
from hwmodel.systems.pipelines.timing import timed


def zb_h2(ranks: int, micro_batches: int, passes: Passes) -> Schedule:
    """One stage a rank, in the memory of 2 p - 1 micro-batches."""
    at_least("micro_batches", micro_batches, 1)
    picks = [_eager(2 * ranks - 1, 1)] * ranks
    return _found(dispatched("zb-h2", looped(ranks), micro_batches, passes, picks))


def zb_v(ranks: int, micro_batches: int, passes: Passes) -> Schedule:
    """Two stages a rank in a V, in the memory of 2 p of their micro-batches."""
    at_least("micro_batches", micro_batches, 1)
    room = 2 * ranks
    picks = [_eager(room, 2)] * ranks
    eager = _found(dispatched("zb-v", in_a_v(ranks), micro_batches, passes, picks))
    return eager if _waits_least(eager, passes) else faster(eager, room, passes)


def _waits_least(schedule: Schedule, passes: Passes) -> bool:
    """Whether some rank waits for nothing but its first micro-batch, so that none is faster."""
    run, reached_s = timed(schedule, passes), 0.0
    for rank, busy_s in enumerate(run.busy_s):
        if reached_s + float(busy_s) >= run.makespan_s * (1 - 1e-12):
            return True
        reached_s += passes.forward_s[rank] + passes.transfer_s
    return False


def _found(schedule: Schedule | None) -> Schedule:
    if schedule is None:
        raise InputError("schedule: expected passes that end, found ranks that wait for each other")
    return schedule


def _eager(room: int, chunks: int) -> Pick:
    """Backwards, forwards of the last stage, W, other forwards, within `room` micro-batches.

    A micro-batch enters the first of two stages only where room for its last is left, so that the
    oldest one can always go on.
    """
    last, deepest, weights, first = chunks - 1, 2 * chunks - 1, 2 * chunks, room - chunks

    def pick(rank: Ready) -> int:
        waits = rank.waits
        if waits[deepest]:
            return deepest
        if chunks > 1 and waits[chunks]:
            return chunks
        if waits[last] and rank.kept < room:
            return last
        if rank.weights:
            return weights + rank.weights[0]
        if chunks > 1 and waits[0] and rank.kept <= first:
            return 0
        return -1

    return pick
