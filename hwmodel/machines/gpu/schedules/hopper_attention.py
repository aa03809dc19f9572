"""Schedule of our attention on Hopper, whose warps copy, multiply and weigh beside each other.

A persistent block a processor takes tile after tile of query rows. Of a tile's step over keys, the
products of one group of warps run beside the softmax of the other, and copies beside both; what
neither hides of a step (barriers, a maximum over lanes) is `cycle` clocks. A tile begins with
scores that nothing runs beside, and ends with products and the rows of O (`turn`, in latencies).

Tiles are dealt in rounds, every second one in reverse. Under a causal mask the longest come first,
so that lengths fall linearly over the rounds: with f rounds beyond the last whole pair, the fullest
processor has f - f^2 / 2 of a round's fall more than the mean (f in 0 .. 2). What all tiles have of
their length takes whole rounds. Counts of a step are those of `schedules.attention`.
"""

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.attention import (
    LANE_FLOP,
    VECTOR_PER_SCORE,
    AttentionProblem,
    AttentionTile,
    Steps,
    dram_bytes,
    row_blocks,
    steps,
)
from hwmodel.quantity.arithmetic import ceil_div, least, most
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Waves, Work

WEIGHED = 1.5
"""Time of a group's softmax over that of its instructions (fitted: H200): maxima and sums wait for
other lanes, and four warps share what products leave of the schedulers."""


def prefill(
    problem: AttentionProblem, tile: AttentionTile, wide: Amount, limits: Limits
) -> Activity:
    """Many queries, heads padded to `wide`: launch, and the tiles of each processor."""
    _, blocks, columns = row_blocks(problem, tile)
    each = steps(problem, tile)
    tiles = columns * blocks
    turns = fullest(tiles, limits.processors, each.most / each.mean)
    read, written = dram_bytes(problem, blocks, limits.processors, limits)
    waves = Waves(tiles, limits.processors, _rows(problem, tile, wide, each), turns)
    stream = Work(read={"dram": read}, written={"dram": written})
    begun = Work(slots={"launch": 1, "fill": 1})
    return Serial((begun, Overlap((waves, stream))))


def fullest(tiles: Amount, processors: Amount, spread: Amount) -> Amount:
    """Mean tiles of work of the fullest processor; the longest tile is `spread` of the mean.

    >>> fullest(132, 132, 1.0), fullest(133, 132, 1.0), fullest(264, 132, 2.0)
    (1.0, 2.0, 2.0)
    """
    same = most((0.0, 2 - spread))
    turns = tiles / processors
    beyond = turns % 2
    fall = (spread - same) / turns * (beyond - beyond * beyond / 2)
    return same * ceil_div(tiles, processors) + (1 - same) * turns + fall


def _rows(problem: AttentionProblem, tile: AttentionTile, wide: Amount, each: Steps) -> Activity:
    """A tile of query rows: its first scores and last products, and its steps."""
    rows, blocks, _ = row_blocks(problem, tile)
    score = tile.block_q * tile.block_k
    loaded = tile.block_k * problem.stored_dim * bytes_of(problem.kv_dtype) * each.mean
    lanes = (VECTOR_PER_SCORE * score + tile.block_q * wide) * each.mean
    lanes = LANE_FLOP * (lanes + tile.masking * score * least((each.masked, each.mean)))
    multiplied = ("matrix", "flop", problem.dtype)
    products = Work(operations={multiplied: 4 * score * wide * each.mean})
    softmax = Work(
        operations={
            ("exp", "exp", "fp32"): WEIGHED * (score + tile.block_q) * each.mean,
            ("vector", "flop", "fp32"): WEIGHED * lanes,
        }
    )
    copies = Work(
        read={"l2": loaded, "port": loaded}, written={"shared": loaded}, live={"processors": 1}
    )
    q = rows / blocks * problem.head_dim * bytes_of(problem.dtype)
    out = rows / blocks * problem.value_dim * bytes_of(problem.dtype_out)
    ends = Work(read={"port": q + out}, slots={"turn": 1, "cycle": each.mean})
    return Serial((ends, Overlap((products, softmax, copies))))
