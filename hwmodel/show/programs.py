"""Programs of model calls for people: the finding, a row for each step, what it rests on."""

from hwmodel.quantity.units import show
from hwmodel.show.html import facts_html
from hwmodel.systems.programs.priced import Priced
from hwmodel.systems.programs.streamed import Streamed
from hwmodel.text.grid import grid, wrapped

HEADS = ("step", "model", "runs", "read", "made", "once", "on path", "energy", "USD")


def program_text(priced: Priced) -> str:
    """The program in one line, its steps, and what it rests on."""
    rows = [
        [
            leaf.name,
            leaf.model or "tool",
            f"{leaf.runs:,.4g}",
            *(f"{count:,.0f}" for count in (leaf.total.read, leaf.total.made)),
            show(leaf.once.time_s, "s"),
            show(leaf.on_path_s, "s"),
            show(leaf.total.energy_j, "j"),
            f"{leaf.total.price_usd:.3g}",
        ]
        for leaf in priced.steps
    ]
    total = priced.total
    lines = [
        f"tokens    {total.read:,.0f} read, {total.reused:,.0f} reused, {total.made:,.0f} made in"
        f" {total.calls:,.4g} calls",
        f"work      {show(total.flop, 'FLOP')}, {show(total.energy_j, 'j')},"
        f" {_usd(total.price_usd)}",
        f"busy      {show(priced.busy_s, 's')} of all steps, one after another",
    ]
    if len(priced.ways) > 1:
        ways = sorted(priced.ways, key=lambda way: way.time_s)
        said = ", ".join(f"{show(way.time_s, 's')} ({way.chance:.1%})" for way in ways[:4])
        lines.append(f"ways      {said}" + (f", ... {len(ways)} in all" if len(ways) > 4 else ""))
    notes = [wrapped("  -", text) for text in priced.assumptions]
    notes += [wrapped("  - warning:", text) for text in priced.warnings]
    table = grid(HEADS, rows, left=(0, 1))
    return "\n\n".join([_finding(priced), table, "\n".join(lines), "\n".join(notes)])


def program_html(priced: Priced) -> str:
    """The same for a notebook."""
    return facts_html(_finding(priced), priced.record())


def streamed_text(found: Streamed) -> str:
    """What programs waited that share engines, and each call of them."""
    rows = [
        [
            each.name,
            each.model,
            f"{each.runs:,}",
            show(each.latency_s, "s"),
            show(each.queue_s, "s"),
        ]
        for each in found.calls
    ]
    tails = ", ".join(f"p{n} {show(found.late_s(n), 's')}" for n in (50, 90, 95, 99))
    count = len(found.latencies_s)
    lines = [
        f"latency   {tails}",
        f"rate      {found.programs_per_s:.3g} programs/s; {found.made / found.duration_s:,.4g}"
        f" tokens/s on {found.devices} devices, busy for {found.busy:.0%} of the time",
        f"a program {show(found.energy_j / count, 'j')}, {_usd(found.usd / count)}",
    ]
    notes = "\n".join(wrapped("  - warning:", text) for text in found.warnings)
    table = grid(("call", "model", "runs", "latency", "queued"), rows, left=(0, 1))
    blocks = [_streamed(found), table, "\n".join(lines), notes]
    return "\n\n".join(each for each in blocks if each)


def streamed_html(found: Streamed) -> str:
    """The same for a notebook."""
    return facts_html(_streamed(found), found.record())


def _streamed(found: Streamed) -> str:
    return (
        f"{found.program.name}, {len(found.latencies_s):,} programs at {found.rate_per_s:g} /s:"
        f" {show(found.latency_s, 's')} each in the mean"
    )


def _finding(priced: Priced) -> str:
    low, high = (show(each, "s") for each in (priced.latency_low_s, priced.latency_high_s))
    side = f", {priced.batch} in step" if priced.batch > 1 else ""
    return (
        f"{priced.program.name}{side}: {show(priced.latency_s, 's')} ({low} to {high}), the longest"
        f" way {show(priced.latency_most_s, 's')}; {_usd(priced.total.price_usd)}"
    )


def _usd(price: float) -> str:
    return "no price" if price != price else f"{price:.3g} USD"
