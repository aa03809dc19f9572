"""A pipeline in time: each rank's passes, and the bytes that it holds.

Forward passes, gradients of inputs and of weights have a colour each; a pass that makes both
gradients has that of the first, and one that runs beside a forward pass of another micro-batch is
drawn in two halves. What stays white is waited.
"""

from pathlib import Path
from typing import Any

from hwmodel.quantity.errors import InputError
from hwmodel.show.pictures.style import (
    PALETTE,
    draws,
    legend,
    number_axis,
    panels,
    plain_axes,
    saved,
    titled,
)
from hwmodel.systems.pipelines.timing import Timed, levels
from hwmodel.systems.training.trained import Trained

KINDS = {"F": PALETTE[0], "B": PALETTE[2], "BW": PALETTE[2], "W": PALETTE[1]}
WORDS = {"F": "forward", "B": "gradients of inputs, or of both", "W": "gradients of weights"}
RANKS = 8
"""Numbers that are written at the axis of ranks, at most."""
HIGH = 0.8
"""Of a rank's row."""


@draws("a step of training", "timed")
def pipeline(step: Trained, path: str | Path | None = None, *, ax: Any = None) -> Any:
    """Draw the passes of a step of training on the ranks of its pipeline.

    Returns the figure; writes it to `path`. `ax` are two axes to draw into. Raises `InputError` for
    a step without a timeline.
    """
    run = step.timed
    if run is None:
        raise InputError("pipeline: expected a step with its timeline, found one without")
    ranks = len(run.start_s)
    drawn, (above, below) = panels((11, 2.6 + min(4.0, 0.3 * ranks)), 2, ax, down=True)
    for rank in range(ranks):
        for kind, spans in _spans(run, rank).items():
            for low, share, bars in spans:
                height = HIGH * share
                place = (rank - HIGH / 2 + HIGH * low, height)
                above.broken_barh(bars, place, facecolors=KINDS[kind], linewidth=0)
        times, kept = levels(run, rank, step.kept_by_stage)
        colour = str(round(0.75 * rank / max(ranks - 1, 1), 3))  # greys: colours are kinds of pass
        held = step.states_by_rank[rank] + kept
        below.step(times, held, where="post", linewidth=0.9, color=colour)
    above.set_ylim(ranks - 0.5, -0.5)
    above.set_ylabel("rank")
    number_axis(below.yaxis, "bytes", "held")
    for axes in (above, below):
        axes.set_xlim(0, run.makespan_s)
        plain_axes(axes)
    number_axis(above.xaxis, "s", "time")
    number_axis(below.xaxis, "s", "time")
    from matplotlib.patches import Patch as patch
    from matplotlib.ticker import MaxNLocator

    above.yaxis.set_major_locator(MaxNLocator(RANKS, integer=True))

    keys = [patch(color=KINDS[kind], label=words) for kind, words in WORDS.items()]
    keys += [patch(color="0", label="bytes of rank 0, of others lighter")]
    legend(
        drawn, above, ax, handles=keys, loc="outside lower center", ncols=4, frameon=False,
        fontsize=9,
    )  # fmt: skip
    name = f"{step.name}, {run.schedule.name}: a rank waits {step.bubble:.1%} of the time"
    titled(drawn, above, ax, name)
    return saved(drawn, path, ax)


def _spans(run: Timed, rank: int) -> dict[str, list[tuple[float, float, list[Any]]]]:
    """Kind -> (from which share of the row, how much of it, bars of start and length)."""
    found: dict[str, dict[tuple[float, float], list[Any]]] = {}
    spans = zip(run.schedule.orders[rank], run.start_s[rank], run.end_s[rank], strict=True)
    for entry, start, end in spans:
        for place, code in enumerate(entry):
            kind = run.schedule.named(code)[0]
            row = (place / len(entry), 1 / len(entry))
            found.setdefault(kind, {}).setdefault(row, []).append((start, end - start))
    return {
        kind: [(low, share, bars) for (low, share), bars in rows.items()]
        for kind, rows in found.items()
    }
