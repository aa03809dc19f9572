"""A prediction as a report to hand on: what, why, how sure, what would help, and how to repeat it.

Each function makes one section of the page from an answer; who asks the verbs (`verbs.report`) puts
them in order. Numbers are those of the answers: nothing is worked out anew.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hwmodel.hardware.calibration import Calibration, Family
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import HwmodelError
from hwmodel.quantity.units import dimension_of, show
from hwmodel.show.columns import REFUSED
from hwmodel.show.fields import POINT
from hwmodel.show.page import (
    Bar,
    Section,
    bars,
    drawn,
    facts,
    folded,
    listed,
    paragraph,
    stack,
    table,
)
from hwmodel.show.pictures.style import COLOURS, PALETTE, label
from hwmodel.show.text import comparison_table, interval_text, parts_table
from hwmodel.spine.answer import Answer
from hwmodel.spine.estimate import BOTTLENECKS, Estimate
from hwmodel.spine.memory import MemoryFit

MOST_BARS = 12
LEAST_SHARE = 1e-3
"""Of the time: resources below it have no bar."""


class Effect(Protocol):
    """How time moves with one number (`hwmodel.whatif.sensitivity.Effect`)."""

    @property
    def number(self) -> Any: ...  # noqa: D102
    @property
    def time_low_s(self) -> float: ...  # noqa: D102
    @property
    def time_high_s(self) -> float: ...  # noqa: D102


def figures(answer: Answer) -> str:
    """The few numbers that a reader looks for first."""
    found = [("time", show(float(answer.time_s), "s"))]
    interval = interval_text(answer)
    found.append(("90 % interval", interval or "not known"))
    if answer.tokens_per_s is not None:
        found.append(("tokens/s", f"{float(answer.tokens_per_s):,.4g}"))
    found.append(("binds", str(answer.bottleneck)))
    found.append(("least, at full rates", show(float(answer.bound_s), "s")))
    if answer.energy_j is not None:
        found.append(("energy", show(float(answer.energy_j), "j")))
    return facts(found)


def memory(answer: Answer) -> Section:
    """What lies in memory beside what there is, of a model; of others the memories that limit."""
    if answer.serving is not None:
        return Section("Memory", _fit(answer.serving.memory))
    rows = [
        [
            each.name,
            show(float(each.needed_bytes), "bytes"),
            show(float(each.capacity_bytes), "bytes"),
        ]
        for each in answer.stores
    ]
    return Section("Memory", table(("memory", "needed at most", "size"), rows))


def _fit(held: MemoryFit) -> str:
    capacity = float(held.capacity_bytes)
    whole = max(capacity, float(held.total_bytes))
    sizes = {
        "weights": held.weights_bytes,
        "cache": held.kv_cache_bytes,
        "activations": held.activations_bytes,
        "reserve": held.reserve_bytes,
    }
    parts = [
        (name, float(size) / whole, show(float(size), "bytes"), PALETTE[place])
        for place, (name, size) in enumerate(sizes.items())
    ]
    free = capacity - float(held.total_bytes)
    if free > 0:
        parts.append(("free", free / whole, show(free, "bytes"), "transparent"))
    return stack(parts) + paragraph(str(held))


def times(estimate: Estimate) -> Section:
    """Where the time goes: kernels, the longest first, and what each resource is needed for."""
    each = [
        (part.name, float(part.times * part.time_s), part.bottleneck) for part in estimate.parts
    ]
    total = sum(seconds for _, seconds, _ in each) or 1.0
    longest = sorted(each, key=lambda part: -part[1])[:MOST_BARS]
    rest = total - sum(seconds for _, seconds, _ in longest)
    kernels = [
        Bar(name, 0, seconds / total, f"{show(seconds, 's')}, {seconds / total:.1%}", _colour(word))
        for name, seconds, word in longest
    ]
    if len(each) > len(longest):
        said = f"{show(rest, 's')}, {rest / total:.1%}"
        kernels.append(Bar(f"{len(each) - len(longest)} more", 0, rest / total, said, "#7f7f7f"))
    busy: dict[str, float] = {}
    for name, seconds in estimate.busy_s.items():
        word = BOTTLENECKS.get(name, name)
        busy[word] = max(busy.get(word, 0.0), float(seconds))
    needed = [
        Bar(word, 0, min(1.0, s / total), f"{show(s, 's')}, {s / total:.1%}", _colour(word))
        for word, s in sorted(busy.items(), key=lambda pair: -pair[1])
        if s > LEAST_SHARE * total
    ]
    heads, rows = parts_table(estimate)
    why = "A kernel has the colour of what binds it. Below: for how much of the time each resource"
    every = folded(f"all {len(each)} kernels", table(heads, rows, words=(0, len(heads) - 1)))
    body = bars(kernels) + paragraph(f"{why} is needed, overlapping with others.") + bars(needed)
    return Section("Where the time goes", body + every)


def _colour(word: str) -> str:
    found = COLOURS.get(str(word), "#7f7f7f")
    return "#7f7f7f" if found == "#000000" else found


def roofline(estimate: Estimate, on: Hardware) -> Section:
    """The kernels under the machine's roofs; nothing where none has operations."""
    from hwmodel.show.pictures.roofline import roofline as draw

    try:
        figure = draw(estimate, on)
    except HwmodelError:
        return Section("Roofline", "")
    return Section("Roofline", drawn(figure, f"roofline of {estimate.name}"))


def evidence(
    estimate: Estimate, calibration: Calibration | None, families: Mapping[str, Family]
) -> Section:
    """How far measurements lay from predictions of each family of kernels, and on what rows."""
    spent: dict[str, float] = {}
    told: dict[str, tuple[float, float]] = {}
    for part in estimate.parts:
        spent[part.family] = spent.get(part.family, 0.0) + float(part.times * part.time_s)
        told[part.family] = (float(part.interval[0]), float(part.interval[1]))
    total = sum(spent.values()) or 1.0
    rows: list[list[str]] = []
    for name, seconds in sorted(spent.items(), key=lambda pair: -pair[1]):
        family, (low, high) = families.get(name), told[name]
        rows.append(
            [
                name,
                f"{seconds / total:.1%}",
                "-" if low != low else f"{low:.2f} to {high:.2f}",
                family.told if family else "-",
                f"{family.rows:,}" if family and family.rows else "-",
                (family.source or "as the calibration") if family else "-",
            ]
        )
    heads = ("kernels", "of the time", "measured / predicted", "parameters", "rows", "fitted to")
    why = "90 % of measured times lie between these multiples of the predicted ones."
    body = paragraph(why) + table(heads, rows, words=(0, 3, 5))
    if calibration is not None:
        dated = f" of {calibration.date}" if calibration.date else ""
        versions = ", ".join(f"{name} {v}" for name, v in calibration.versions.items())
        body += paragraph(
            f"Calibration {calibration.name}{dated}: {calibration.source}. {versions}"
        )
    return Section("How sure this is", body)


def helps(
    sentences: Sequence[str], time_s: float, swing: float, effects: Sequence[Effect]
) -> Section:
    """Why it takes so long, and what each number of the machine would change."""
    swings = [
        (each.number.path, each.time_low_s / time_s - 1, each.time_high_s / time_s - 1)
        for each in effects[:MOST_BARS]
    ]
    swings = [each for each in swings if max(abs(each[1]), abs(each[2])) >= LEAST_SHARE]
    if not swings:
        return Section("What would help", listed(sentences))
    ends = [end for _, *both in swings for end in both]
    low, high = min(0.0, *ends), max(0.0, *ends)
    width = high - low
    rows = [
        Bar(name, (min(a, b) - low) / width, (max(a, b) - low) / width, f"{a:+.1%} / {b:+.1%}")
        for name, a, b in swings
    ]
    why = f"Change of the time with each number of the machine {swing:.0%} lower / higher, alone:"
    body = listed(sentences) + paragraph(why) + bars(rows, mark=-low / width)
    return Section("What would help", body)


def comparison(estimates: Sequence[Answer], refusals: Sequence[str]) -> Section:
    """The same work on other machines."""
    finding, heads, rows, _ = comparison_table(estimates)
    longest = max(float(each.time_s) for each in estimates)
    shown = [
        Bar(each.device, 0, float(each.time_s) / longest, show(float(each.time_s), "s"))
        for each in estimates
    ]
    words = (1, len(heads) - 1)
    body = paragraph(finding) + bars(shown) + table(heads, rows, words=words) + listed(refusals)
    return Section("On other machines", body)


def rests_on(assumptions: Sequence[str], warnings: Sequence[str]) -> Section:
    """What the answer takes for granted, and what it warns of."""
    warned = [f"Warning: {each}" for each in warnings]
    return Section("What this rests on", listed([*warned, *assumptions]))


def rows(found: Any, most: int) -> Section:
    """The fastest rows of a study, a polars table."""
    kept = (
        found.filter(found["time_s"].is_not_null()).sort("time_s") if "time_s" in found else found
    )
    aside = {REFUSED, *(field.name for field in POINT if field.aside)}
    names = [name for name in kept.columns if name not in aside and kept[name].n_unique() > 1]
    cells = [
        [_cell(name, value) for name, value in zip(names, row, strict=True)]
        for row in kept.select(names).head(most).iter_rows()
    ]
    said = (
        f"The fastest {len(cells)} of {len(kept):,} rows; columns that are alike in all left out."
    )
    return Section("Rows", paragraph(said) + table([label(name) for name in names], cells))


def _cell(name: str, value: Any) -> str:
    dimension = dimension_of(name)
    if value is None or not isinstance(value, (int, float)) or isinstance(value, bool):
        return "-" if value is None else str(value)
    return show(float(value), dimension) if dimension else f"{value:,.6g}"


def front(found: Any) -> Section:
    """What no other row beats in time and energy, where a study has both."""
    from hwmodel.show.pictures.front import pareto

    both = ("time_s", "energy_j")
    if not all(name in found and found[name].drop_nulls().n_unique() > 1 for name in both):
        return Section("Time and energy", "")
    kept = found.drop_nulls(both)
    return Section("Time and energy", drawn(pareto(kept, *both), "time against energy"))
