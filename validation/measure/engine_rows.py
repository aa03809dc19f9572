"""Recorded calls of an engine's scheduler, sorted into rows: runs of decodes, steps with prompts.

Each entry of a log says when a step was scheduled (`t`, seconds) and what it carries: `decodes` and
`decode_keys`, `prompts`, `prompt_tokens` and `prompt_keys`; those that ran under a profiler are
marked `profiled` and give no row.
"""

from collections.abc import Iterator, Sequence
from typing import Any

Entry = dict[str, Any]
Row = dict[str, Any]

SKIP_FIRST, SKIP_LAST, LEAST_STEPS = 6, 2, 12
"""Steps of a run that are left out at its ends, and the fewest that make a row."""
WINDOW = 4
"""Steps with prompts that make one row."""
ENERGY_S = 0.5
"""The shortest time over which the board's counter of joules is read."""


def rows_of(
    log: Sequence[Entry],
    prompt: int,
    energies: Sequence[tuple[int, float, float]] = (),
    *,
    window: int = WINDOW,
) -> Iterator[Row]:
    """Rows of a log: one for each run of decodes, one for each `window` steps with prompts.

    `energies` are readings of the boards' counter: entries so far, seconds, joules.
    """
    start = 0
    while start < len(log):
        end = start + 1
        if log[start]["prompts"]:
            while end < len(log) and log[end]["prompts"]:
                end += 1
            yield from mixed(log[start : min(end + 1, len(log))], prompt, window)
        else:
            while end < len(log) and kind(log[end]) == kind(log[start]):
                end += 1
            yield from decoded(log, start, end, energies)
        start = end


def kind(entry: Entry) -> tuple[int, bool, int]:
    """What must not change within a run of decodes."""
    return entry["decodes"], entry["prompts"] > 0, entry.get("profiled", 0)


def decoded(
    log: Sequence[Entry], start: int, end: int, energies: Sequence[tuple[int, float, float]]
) -> Iterator[Row]:
    """The row of a run of decode steps of one batch, if it is long enough."""
    first, last = start + SKIP_FIRST, end - 1 - SKIP_LAST
    batch, steps = log[start]["decodes"], last - first
    if not batch or steps < LEAST_STEPS or log[start].get("profiled"):
        return
    gaps = sorted(log[i + 1]["t"] - log[i]["t"] for i in range(first, last))
    mean = (log[last]["t"] - log[first]["t"]) / steps
    keys = sum(log[i]["decode_keys"] for i in range(first, last)) / steps / batch
    row = {"phase": "decode", "batch": batch, "context": round(keys, 1), "time_s": mean}
    row |= {"median_s": gaps[steps // 2], "p90_s": gaps[int(0.9 * steps)], "steps": steps}
    inside = [e for e in energies if start < e[0] <= end]
    if len(inside) >= 2:
        row |= drawn(inside[-1][1] - inside[0][1], inside[-1][2] - inside[0][2], mean)
    yield row


def drawn(seconds: float, joules: float, time_s: float) -> Row:
    """Power, and joules of `time_s` at it; nothing where the counter was read too soon again."""
    if seconds <= ENERGY_S:
        return {}
    return {"power_w": joules / seconds, "energy_j": joules / seconds * time_s}


def mixed(steps: Sequence[Entry], prompt: int, window: int) -> Iterator[Row]:
    """Windows of steps that carry prompts beside decodes; the first two steps are left out."""
    for at in range(2, len(steps) - window - 1, window):
        mean = (steps[at + window]["t"] - steps[at]["t"]) / window
        row: Row = {"phase": "mixed", "prompt": prompt, "time_s": mean, "steps": window}
        for name in ("decodes", "decode_keys", "prompts", "prompt_tokens", "prompt_keys"):
            row[name] = sum(step[name] for step in steps[at : at + window]) / window
        yield row
