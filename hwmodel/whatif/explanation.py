"""Explanation: an estimate in sentences, each built from its counts.

The distance from the roofline is taken apart exactly. With t_p the time of kernel p at the full
clock, b_pr the seconds that it needs resource r (latencies apart), and L the least time (roofline):

    T - L =  sum_p t_p - max_r b_pr                    latency, tails, imperfect overlap
           + sum_p max_r b_pr - max_r sum_p b_pr       kernels in a row that bind on others
           + max_r sum_p b_pr - L                      rates below their peaks, padding, more bytes
           + h                                         an engine's host, where nothing hides it
           + T - sum_p t_p - h                         the power limit

An estimate alone tells all this; with its workload and machine also how tiles fill the processors,
and which number of the machine would help most (`hwmodel.whatif.sensitivity`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.machines.driver import Machine, Network, Workload
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import show
from hwmodel.show.json import plain
from hwmodel.show.text import by_word, headline, operations
from hwmodel.spine.answer import Answer, Told
from hwmodel.spine.estimate import BOTTLENECKS, Estimate, Part
from hwmodel.text.grid import wrapped
from hwmodel.text.markup import Brief
from hwmodel.whatif.sensitivity import Effect, Sensitivity, sensitivity
from hwmodel.whatif.variants import Question, machine_of

SHOWN = 3
"""Kernels and numbers that a sentence names."""

LATENCIES = ("launch", "host")
"""Resources that are seconds passing, not work being done."""

WASTE = 0.05
"""Share of operations on padding, or of idle slots, that is worth a sentence."""


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Brief):
    """Why an estimate is what it is: sentences, and the seconds of each reason above the roofline.

    `sensitivity` is None where only an estimate was given.
    """

    estimate: Answer
    sentences: tuple[str, ...]
    reasons_s: Mapping[str, float]
    sensitivity: Sensitivity | None = None

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return plain(
            {
                "name": self.estimate.name,
                "device": self.estimate.device,
                "time_s": self.estimate.time_s,
                "bound_s": self.estimate.bound_s,
                "bottleneck": self.estimate.bottleneck,
                "sentences": self.sentences,
                "reasons_s": self.reasons_s,
                "sensitivity": self.sensitivity and self.sensitivity.record(),
            }
        )

    def __str__(self) -> str:
        """The answer in one line, then a sentence a paragraph."""
        return "\n".join((headline(self.estimate), "", *(wrapped("-", s) for s in self.sentences)))

    def _repr_html_(self) -> str:
        from hwmodel.text.markup import answer_html

        return answer_html(headline(self.estimate), [], self.sentences)


@checked
def explain(
    what: Estimate | Told | Workload,
    on: Machine | None = None,
    *,
    kernel: Kernel = None,
    parallel: Mapping[str, int] | None = None,
    topology: Network = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
) -> Explanation:
    """Say why a prediction is what it is: an estimate's, or that of a workload on a machine.

    Raises `InputError` for a sweep and for a workload without a machine, and as `predict` does.
    """
    if isinstance(what, (Estimate, Told)):
        estimate, moved, filled = what, None, ()
    elif on is None:
        raise InputError("explain: expected a machine with a workload: explain(workload, on=...)")
    else:
        machine, question = machine_of(on), Question(what, kernel, parallel, topology, engine, l2)
        estimate = question.ask(machine)
        _check(estimate)
        how: Any = {"parallel": parallel, "topology": topology, "engine": engine, "l2": l2}
        moved = sensitivity(what, machine, kernel=kernel, **how)
        filled = _filled(question, machine, estimate) if isinstance(estimate, Estimate) else ()
    _check(estimate)
    if isinstance(estimate, Estimate):
        reasons, of_kernels = reasons_s(estimate), _of_kernels(estimate, filled)
    else:
        reasons, of_kernels = _told(estimate).reasons_s, ["", *_told(estimate).sentences]
    sentences = [
        _binding(estimate),
        of_kernels[0],
        _distance(estimate, reasons),
        *of_kernels[1:],
        *(_helpful(moved) if moved else ()),
        *estimate.warnings,
    ]
    return Explanation(estimate, tuple(s for s in sentences if s), reasons, moved)


def _told(answer: Answer) -> Told:
    """An answer that is no list of kernels; raises `InputError` where it tells nothing more."""
    if not isinstance(answer, Told):
        raise InputError(f"explain: {answer.name}: expected an answer that says what it is due to")
    return answer


def _of_kernels(estimate: Estimate, filled: Sequence[str]) -> list[str]:
    """Which kernels take the time; then their bytes, padding and slots, and the power limit."""
    parts = estimate.parts
    rest = (_traffic(estimate), _padding(parts), *filled, _power(estimate))
    return [_shares(parts), *rest]


def _check(estimate: Answer) -> None:
    if np.ndim(estimate.time_s):
        size = np.size(estimate.time_s)
        raise InputError(f"explain: {estimate.name}: expected one point, found {size} of them")


def reasons_s(estimate: Estimate) -> dict[str, float]:
    """Seconds above the roofline by reason; they sum to `time_s - bound_s` (see the module)."""
    kernels = [part for part in estimate.parts if not part.host]
    full = float(sum(part.times * part.time_s for part in kernels))
    host = float(sum(part.times * part.time_s for part in estimate.parts if part.host))
    busiest = float(sum(part.times * _busiest(part.busy_s) for part in kernels))
    longest = _busiest(estimate.busy_s)
    return {
        "latency, tails and imperfect overlap": full - busiest,
        "kernels in a row that bind on different resources": busiest - longest,
        "rates below peaks, padding and bytes above the bound": longest - float(estimate.bound_s),
        **({"the host, which kernels do not hide": host} if host else {}),
        "the power limit": float(estimate.time_s) - full - host,
    }


def _busiest(busy_s: Mapping[str, Any]) -> float:
    working = (float(seconds) for name, seconds in busy_s.items() if name not in LATENCIES)
    return max(working, default=0.0)


def _binding(estimate: Answer) -> str:
    """What binds and by how much, over all and by kernel."""
    busy = sorted(by_word(estimate.busy_s).items(), key=lambda item: -item[1])
    time_s = float(estimate.time_s)
    word, most = busy[0]
    text = f"{word} binds: it is needed for {show(most, 's')} of {show(time_s, 's')}" + (
        f" ({most / time_s:.0%})" if most <= time_s else ""
    )
    if len(busy) > 1 and busy[1][1] > 0:
        other, less = busy[1]
        text += (
            f"; {other} is next with {show(less, 's')}, so that {word} has to become"
            f" {most / less:.3g} times as fast before {other} binds"
        )
    return text + "."


def _shares(parts: Sequence[Part]) -> str:
    """Which kernels take the time, and which resources bind in them."""
    if len(parts) < 2:
        return ""
    each = {id(part): float(part.times * part.time_s) for part in parts}
    total = sum(each.values())
    longest = sorted(parts, key=lambda part: -each[id(part)])[:SHOWN]
    named = ", ".join(f"{p.name} {each[id(p)] / total:.0%} ({p.bottleneck})" for p in longest)
    binding: dict[str, float] = {}
    for part in parts:
        binding[str(part.bottleneck)] = binding.get(str(part.bottleneck), 0.0) + each[id(part)]
    by = sorted(binding.items(), key=lambda item: -item[1])
    words = ", ".join(
        f"{word} {seconds / total:.0%}" for word, seconds in by if seconds >= 0.005 * total
    )
    return f"The longest of {len(parts)} kernels: {named}. By what binds in each: {words}."


def _distance(estimate: Answer, reasons: Mapping[str, float]) -> str:
    """How far from the roofline, and why."""
    time_s, least = float(estimate.time_s), float(estimate.bound_s)
    above = sorted(reasons.items(), key=lambda item: -item[1])
    named = "; ".join(
        f"{seconds / time_s:.0%} is due to {name}"
        for name, seconds in above
        if abs(seconds) >= 0.005 * time_s
    )
    text = (
        f"The time is {time_s / least:.3g} times the roofline's {show(least, 's')}" if least else ""
    )
    return f"{text}; of it {named}." if text and named else f"{text}." if text else ""


def _traffic(estimate: Estimate) -> str:
    """Bytes through the outermost memory over the bound."""
    moved = float(estimate.dram_bytes_read + estimate.dram_bytes_written)
    bound = float(estimate.bound_bytes)
    if not bound or not moved:
        return ""
    over = f"{moved / bound:.3g} times" if moved > 1.005 * bound else "no more than"
    return (
        f"{show(moved, 'bytes')} cross the {estimate.outermost} boundary,"
        f" {over} what any schedule needs."
    )


def _padding(parts: Sequence[Part]) -> str:
    """Kernels whose products are more than the Einsums ask for."""
    found: list[tuple[float, str]] = []
    for part in parts:
        done = float(_products(part))
        asked = float(part.flop or 0)
        if asked and done > (1 + WASTE) * asked:
            extra = f"{part.name} {done / asked:.3g} times"
            found.append((float(part.times) * (done - asked), extra))
    if not found:
        return ""
    named = ", ".join(text for _, text in sorted(found, reverse=True)[:SHOWN])
    return f"Padding and masks: {named} the operations that the Einsums ask for."


def _products(part: Part) -> Any:
    """Operations of a kernel's products; of all units where it has none."""
    counts = part.counts.operations
    products = sum(n for (unit, _, _), n in counts.items() if BOTTLENECKS.get(unit) == "matrix")
    return products or operations(part.counts)


def _filled(question: Question, machine: Any, estimate: Estimate) -> tuple[str, ...]:
    """How the tiles of the longest kernels fill the processors of a GPU."""
    if machine.kind != "gpu" or estimate.devices != 1:
        return ()
    from hwmodel.machines.gpu.waves import fillings

    asked = question.workload, machine, question.kernel
    found = {f.kernel: f for f in fillings(*asked, estimate, question.engine)}
    longest = sorted(estimate.parts, key=lambda part: -float(part.times * part.time_s))
    named = [found[part.name] for part in longest[:SHOWN] if part.name in found]
    told = [
        f"{f.kernel} has {f.tiles:,.0f} tiles for {f.slots:,.0f} slots, hence {f.rounds:.3g}"
        f" {'round' if f.rounds == 1 else 'rounds'} with {f.idle:.0%} of the slots idle"
        for f in named
        if f.idle > WASTE
    ]
    return (f"Slots without a tile: {'; '.join(told)}.",) if told else ()


def _power(estimate: Estimate) -> str:
    sustained, time_s = float(estimate.sustained_time_s), float(estimate.time_s)
    if sustained <= 1.005 * time_s:
        return ""
    return (
        f"In unbroken repetition the power limit makes it {sustained / time_s:.3g} times as long."
    )


def _helpful(found: Sensitivity) -> tuple[str, ...]:
    """Which numbers of the machine would help most, and where more of one gains nothing."""
    gains = sorted(((_gain(each, found), each) for each in found.effects), key=lambda g: -g[0])
    share = f"{found.swing:.0%}"
    told = [
        f"{share} {'more' if each.time_high_s < each.time_low_s else 'less'} {each.number.path}"
        f" saves {gain:.1%}"
        for gain, each in gains[:SHOWN]
        if gain >= 5e-4
    ]
    if not told:
        return ("No single number of the machine shortens it.",)
    return (f"What would help most, one number at a time: {', '.join(told)} of the time.",)


def _gain(each: Effect, found: Sensitivity) -> float:
    """Share of the time that a swing of one number for the better saves."""
    times = [t for t in (each.time_low_s, each.time_high_s) if t == t]
    return max((1 - t / found.time_s for t in times), default=0.0)
