"""Zero-bubble schedules in more memory than 1F1B's: gradients of weights fill what would be waits.

    zb-h2   up to 2 p - 1 micro-batches a rank: as many forwards as fit, then backwards before
            forwards before weight gradients (Qi et al., arXiv 2401.10241)
    zb-v    stages in a V, up to 2 p of their half-sized micro-batches a rank, 1F1B's memory (ibid.)

With equal stages and passes only the way of the first micro-batch to the last rank is waited for,
(p - 1) F; a step whose optimiser does not wait for all ranks hides that too.
"""

from hwmodel.quantity.errors import InputError
from hwmodel.systems.pipelines.dispatch import Pick, Ready, dispatched
from hwmodel.systems.pipelines.schedule import B, F, Schedule, W, at_least, in_a_v, looped
from hwmodel.systems.pipelines.timing import Passes


def zb_h2(ranks: int, micro_batches: int, passes: Passes) -> Schedule:
    """One stage a rank, in the memory of 2 p - 1 micro-batches."""
    at_least("micro_batches", micro_batches, 1)
    picks = [_eager(2 * ranks - 1, ("B", "F", "W"))] * ranks
    return _found(dispatched("zb-h2", looped(ranks), micro_batches, passes, picks))


def zb_v(ranks: int, micro_batches: int, passes: Passes) -> Schedule:
    """Two stages a rank in a V, in the memory of 2 p of their micro-batches."""
    at_least("micro_batches", micro_batches, 1)
    picks = [_eager(2 * ranks, ("B", "F of the last", "W", "F"))] * ranks
    return _found(dispatched("zb-v", in_a_v(ranks), micro_batches, passes, picks))


def _found(schedule: Schedule | None) -> Schedule:
    if schedule is None:
        raise InputError("schedule: expected passes that end, found ranks that wait for each other")
    return schedule


def _eager(room: int, prefer: tuple[str, ...]) -> Pick:
    """Take what comes first in `prefer` and can run, within `room` micro-batches.

    A micro-batch enters a rank's first stage only where room for its last is left, so that the
    oldest one can always go on.
    """

    def pick(rank: Ready) -> tuple[int, int, int] | None:
        first, last = rank.stages[0], rank.stages[-1]
        for what in prefer:
            if what == "W" and rank.weights:
                return W, *rank.weights[0]
            if what == "B":
                for stage in reversed(rank.stages):
                    if rank.ready[B, stage]:
                        return B, stage, rank.ready[B, stage][0]
            if what == "F of the last" and rank.ready[F, last] and rank.kept < room:
                return F, last, rank.ready[F, last][0]
            if what == "F" and rank.ready[F, first]:
                if rank.kept + len(rank.stages) <= room:
                    return F, first, rank.ready[F, first][0]
        return None

    return pick
