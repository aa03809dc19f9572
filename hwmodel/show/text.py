"""Answers as text: an estimate, a bound, a comparison or a device, for people to read.

A text starts with the answer in one line, then shows where the time goes, then what it rests on.
Numbers are rounded to three digits with prefixes (GB is 1e9 bytes); where an answer holds many
points of a sweep, the first is shown and the text says so. The same answer always gives the same
text, without colour, at most `grid.WIDTH` columns wide (the command line fits the terminal).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwmodel.bounds.bound import Bound
from hwmodel.bounds.limit import Limit
from hwmodel.bounds.sensitivity import Gain
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.units import Amount, show
from hwmodel.show.datasheet import rate
from hwmodel.show.held import held, layers_text, sized, stores_text
from hwmodel.spine.activity import Work
from hwmodel.spine.answer import Answer
from hwmodel.spine.estimate import BOTTLENECKS, Estimate, Part
from hwmodel.spine.memory import MemoryFit
from hwmodel.text.grid import grid, hanging, wrapped

RESOURCES = 2
"""How many resources have a column of their own: those with the most busy time."""
COMPONENTS = 4
"""How many components of the energy are named: those with the largest shares."""


def estimate_text(estimate: Estimate) -> str:
    """The answer in one line, a row for each kernel, and what the answer rests on."""
    summary = "\n".join(hanging(line) for line in summary_text(estimate).splitlines())
    blocks = [headline(estimate), _parts_text(estimate), summary]
    if estimate.serving is not None:
        blocks.append(_memory_text(estimate.serving.memory))
    blocks += [
        stores_text(estimate.stores),
        layers_text(estimate.by_layer),
        _notes("assumptions", estimate.assumptions),
        _notes("warnings", estimate.warnings),
    ]
    return "\n\n".join(block for block in blocks if block)


def headline(estimate: Answer) -> str:
    """Time, what binds, how far from the roofline; for a model also tokens and memory."""
    time_s = first(estimate.time_s)
    words = [
        f"{estimate.name} on {estimate.device}: {_second(time_s)}"
        + (f" ({interval})" if (interval := interval_text(estimate)) else ""),
        f"{first(estimate.bottleneck)} binds",
    ]
    if estimate.serving is not None:
        memory = estimate.serving.memory
        words.append(f"{_count(estimate.tokens_per_s)} tokens/s")
        words.append(_verdict(memory))
    words += [held(store) for store in estimate.stores]
    points = np.size(estimate.time_s)
    many = f" (the first of {points:,} points)" if points > 1 else ""
    return wrapped("", ", ".join(words) + many)


def bound_text(bound: Bound, worth: Sequence[Gain] = ()) -> str:
    """The least traffic at each level, why no schedule needs less, what more would buy, passes."""
    rows = [
        [level.level, _bytes(level.bytes), _bytes(level.fast_bytes), level.reason]
        for level in bound.levels
    ]
    text = (
        f"{bound.name}: at least {_bytes(bound.dram_bytes)} cross the"
        f" {bound.levels[0].level} boundary, whatever the schedule"
    )
    table = grid(("level", "at least", "memory above", "since"), rows, left=(0, 3))
    passes = ", ".join(f"{name}: {count}" for name, count in sorted(bound.passes.items()))
    more = [
        [
            each.level,
            _bytes(each.bytes_saved_per_kib),
            *(
                "-" if seconds is None else f"{first(seconds):.3g} s"
                for seconds in (each.time_saved_per_kib_s, each.time_saved_per_byte_per_s_s)
            ),
        ]
        for each in worth
    ]
    heads = ("level", "1 KiB more inside saves", "its transfer", "1 byte/s more saves")
    blocks = (
        text,
        table,
        grid(heads, more, left=(0,)) if more else "",
        passes and f"passes  {passes}",
    )
    return "\n\n".join(block for block in blocks if block)


def limit_text(limit: Limit) -> str:
    """The bounds, the roofline, and how far the predicted kernels are from both."""
    estimate = limit.estimate
    moved = estimate.dram_bytes_read + estimate.dram_bytes_written
    distance = (
        f"roofline  {_second(limit.time_s)} on {estimate.device}; the kernels are predicted to take"
        f" {_second(estimate.time_s)}, {_times(estimate.time_s, limit.time_s)} it",
        f"traffic   the kernels are predicted to move {_bytes(moved)} through the"
        f" {_outermost(estimate)},"
        f" {_times(moved, limit.dram_bytes)} the bound",
    )
    text = bound_text(limit.bound, limit.sensitivity)
    return "\n\n".join((text, "\n".join(hanging(line) for line in distance)))


def comparison_text(estimates: Sequence[Answer], refusals: Sequence[str] = ()) -> str:
    """One row a machine; ratios are to the first, above 1 where the machine is better."""
    text, heads, rows, warnings = comparison_table(estimates)
    blocks = (text, grid(heads, rows, left=(1, len(heads) - 1)), _notes("refused", refusals))
    return "\n\n".join(block for block in (*blocks, _notes("warnings", warnings)) if block)


def comparison_table(
    estimates: Sequence[Answer],
) -> tuple[str, list[str], list[list[str]], tuple[str, ...]]:
    """The finding in one line, heads and rows, and the warnings of all."""
    base = estimates[0]
    llm = all(estimate.tokens_per_s is not None for estimate in estimates)
    fastest = min(range(len(estimates)), key=lambda i: float(first(estimates[i].time_s)))
    rows = [
        [
            str(number + 1),
            estimate.device,
            _second(estimate.time_s),
            interval_text(estimate) or "not known",
            _times(base.time_s, estimate.time_s),
            _joules(estimate.energy_j),
            _times(base.energy_j, estimate.energy_j),
            *([_count(estimate.tokens_per_s)] if llm else []),
            str(first(estimate.bottleneck)),
        ]
        for number, estimate in enumerate(estimates)
    ]
    heads = ["#", "device", "time", "90 % interval", "speed-up", "energy", "saving"]
    heads += [*(["tokens/s"] if llm else []), "binds"]
    gain = f", {_times(base.time_s, estimates[fastest].time_s)} of number 1" if fastest else ""
    text = f"{base.name}: number {fastest + 1} ({estimates[fastest].device}) is fastest{gain}"
    warnings = tuple(
        dict.fromkeys(
            words
            for estimate in estimates
            for words in estimate.warnings
            if not words.startswith("does not fit")
        )
    )
    warnings += tuple(
        f"does not fit on {estimate.device}: {_verdict(estimate.serving.memory)}"
        for estimate in estimates
        if estimate.serving is not None and not first(estimate.serving.memory.fits)
    )
    warnings += tuple(
        f"does not fit on {estimate.device}: {store.name} is short by {sized(store.short_by_bytes)}"
        for estimate in estimates
        for store in estimate.stores
        if np.any(store.short_by_bytes)
    )
    return text, heads, rows, warnings


GROUPS = {
    "npu": "other accelerators",
    "cpu": "CPUs and boards",
    "fpga": "FPGAs",
    "mcu": "microcontrollers",
    "spatial": "arrays of processing elements",
}
"""Kinds of machines other than GPUs, as people call several of them."""


def devices_text(devices: Sequence[Hardware]) -> str:
    """A table for each kind of machine, one row a device: peaks, memory, link and power."""
    groups: dict[str, list[Hardware]] = {}
    for device in devices:
        maker = device.title.split()[0]
        group = f"{maker} GPUs" if device.kind == "gpu" else GROUPS[device.kind]
        groups.setdefault(group, []).append(device)
    kinds = ["gpu", *GROUPS]
    order = sorted(groups, key=lambda group: kinds.index(groups[group][0].kind))
    tables = [f"{group}\n{_devices_table(groups[group])}" for group in order]
    gpus = [device for device in devices if device.kind == "gpu" and device.calibration]
    return "\n\n".join([*tables, *([_standings(gpus)] if gpus else [])])


KERNELS = {
    "products": ("gemm",),
    "attention": ("prefill", "decode"),
    "experts": ("grouped",),
    "rows": ("rows", "reduction"),
    "collectives": ("collective",),
    "joules": ("energy",),
}
"""Kinds of kernels, as people call several families."""


def _standings(devices: Sequence[Hardware]) -> str:
    """What each GPU's efficiencies rest on: the best known library of each kind of kernels."""
    rows = [
        [device.name, *(device.calibration.standing(*each) for each in KERNELS.values())]
        for device in devices
        if device.calibration is not None
    ]
    told = (
        "what efficiencies rest on, of the library best known: measured by us; fitted to rows that"
        "\nothers published; inherited from the nearest GPU that was; a prior\n"
    )
    return told + grid(("name", *KERNELS), rows, left=range(1 + len(KERNELS)))


def _devices_table(devices: Sequence[Hardware]) -> str:
    """Rows of one kind of machine; what GPUs are called in full, their names say."""
    named = devices[0].kind != "gpu"
    rows = [
        [
            device.name,
            *([device.title] if named else []),
            _peak(device, "bf16", "fp16"),
            _peak(device, "fp8", "int8"),
            rate(next(iter(device.memories.values())).bandwidth_bytes_per_s, "bytes_per_s"),
            _bytes(next(iter(device.memories.values())).capacity_bytes),
            rate(device.link.bandwidth_bytes_per_s, "bytes_per_s") if device.link else "-",
            "-" if np.isinf(first(device.power.limit_w)) else rate(device.power.limit_w, "w"),
            *([] if named else [_kernels(device)]),
        ]
        for device in devices
    ]
    heads = ("16 bit", "8 bit", "DRAM", "capacity", "link", "power")
    words = ("name", "device") if named else ("name",)
    told = () if named else ("kernels",)
    return grid((*words, *heads, *told), rows, left=range(len(words)))


def _kernels(device: Hardware) -> str:
    """Where rates of a GPU's kernels come from at best: `Family.told`, or a prior."""
    families = device.calibration.families if device.calibration else {}
    found = {family.told for family in families.values()}
    return next(word for word in ("measured", "published", "inherited", "prior") if word in found)


def first(value: Any) -> Any:
    """The first point of an array; anything else as it is."""
    return value if np.ndim(value) == 0 else np.ravel(value)[0].item()


def operations(counts: Work) -> Amount:
    """All operations of a piece of work, whichever unit does them; instructions issued are none."""
    return sum(count for (_, kind, _), count in counts.operations.items() if kind != "slot")


def by_word(busy_s: Mapping[str, Amount]) -> dict[str, float]:
    """Busy seconds by the words of `BOTTLENECKS`, the busiest resource behind a word counting."""
    found: dict[str, float] = {}
    for name, seconds in busy_s.items():
        word = BOTTLENECKS.get(name, name)
        found[word] = max(found.get(word, 0.0), float(first(seconds)))
    return found


def _parts_text(estimate: Estimate) -> str:
    heads, rows = parts_table(estimate)
    return grid(heads, rows, left=(0, len(heads) - 1))


def parts_table(estimate: Estimate) -> tuple[tuple[str, ...], list[list[str]]]:
    """Heads and rows of the kernels, their sum last where there are several."""
    total_s = float(first(_full_clock_s(estimate)))
    busy = by_word(estimate.busy_s)
    columns = sorted(busy, key=lambda word: -busy[word])[:RESOURCES]
    rows = [_part_row(part, columns, total_s, estimate.outermost) for part in estimate.parts]
    if len(rows) > 1:
        rows.append(["total", *_totals(estimate, columns, busy)])
    memory = _outermost(estimate)
    heads = ("kernel", "runs", "each", "time", "share", "ops", memory, *columns, "binds")
    return heads, rows


def _part_row(part: Part, columns: Sequence[str], total_s: float, outermost: str) -> list[str]:
    runs, each_s = first(part.times), float(first(part.time_s))
    busy = by_word(part.busy_s)
    moved = part.counts.read.get(outermost, 0) + part.counts.written.get(outermost, 0)
    return [
        part.name,
        f"{runs:,.6g}",
        _second(each_s),
        _second(runs * each_s),
        f"{runs * each_s / total_s:.1%}" if total_s else "-",
        _count(None if part.flop is None else part.times * part.flop),
        _bytes(part.times * moved),
        *(_second(runs * busy[word]) if word in busy else "-" for word in columns),
        str(first(part.bottleneck)),
    ]


def _totals(estimate: Estimate, columns: Sequence[str], busy: Mapping[str, float]) -> list[str]:
    return [
        f"{sum(first(part.times) for part in estimate.parts):,.6g}",
        "",
        _second(_full_clock_s(estimate)),
        "100.0%",
        _count(estimate.flop / estimate.total_runs),
        _bytes(estimate.dram_bytes_read + estimate.dram_bytes_written),
        *(_second(busy[word]) for word in columns),
        str(first(estimate.bottleneck)),
    ]


def _full_clock_s(estimate: Estimate) -> Amount:
    """All kernels after one another, before a power limit slows them."""
    return sum(part.times * part.time_s for part in estimate.parts)


def interval_text(estimate: Answer) -> str:
    """The ends of the 90 % interval; nothing where it is not known."""
    low_s, high_s = estimate.time_low_s, estimate.time_high_s
    return "" if np.isnan(first(low_s)) else f"{_second(low_s)} to {_second(high_s)}"


def _issued(estimate: Estimate) -> Amount:
    """Operations that the units carry out, those on the padding of tiles included."""
    return sum(part.times * operations(part.counts) for part in estimate.parts)


def summary_text(estimate: Estimate) -> str:
    """Time, roofline, traffic, rates and energy, a line each that opens with its name."""
    time_s, moved = estimate.time_s, estimate.dram_bytes_read + estimate.dram_bytes_written
    issued = estimate.total_runs * _issued(estimate)
    lines = [
        f"time      {_second(time_s)}; 90 % interval {interval_text(estimate) or 'not known'}",
        f"roofline  {_second(estimate.bound_s)}; the time is {_times(time_s, estimate.bound_s)} it",
        f"{_outermost(estimate):<9} {_bytes(estimate.dram_bytes_read)} read,"
        f" {_bytes(estimate.dram_bytes_written)} written; {_times(moved, estimate.bound_bytes)}"
        f" the bound, {_bytes(estimate.bound_bytes)}",
        f"rates     {_count(estimate.flop / time_s)} operations/s asked for,"
        f" {_count(issued / time_s)} carried out"
        f"{' with padding' if np.all(issued >= estimate.flop) else ' on the units modelled'};"
        f" {_outermost(estimate)} {rate(moved / time_s, 'bytes_per_s')}",
        f"energy    {_joules(estimate.energy_j)}{_by_component(estimate)}",
    ]
    sustained_s = float(first(estimate.sustained_time_s))
    if sustained_s > 1.005 * float(first(time_s)):
        lines[0] += f"; {_second(sustained_s)} in unbroken repetition, at the power limit"
    if estimate.serving is not None:
        lines[-1] += f"; {_joules(estimate.joules_per_token)} per token"
        lines.append(
            f"tokens    {_count(estimate.serving.tokens)} in a step;"
            f" {_count(estimate.tokens_per_s)} tokens/s{_between(estimate)}"
        )
    if estimate.area_m2 is not None:
        ends = estimate.area_range_m2
        told = "" if ends is None else " ({} to {})".format(*(show(first(a), "m2") for a in ends))
        lines.append(f"area      {show(first(estimate.area_m2), 'm2')}{told}")
    return "\n".join(lines)


def _between(estimate: Estimate) -> str:
    """Seconds between a sequence's tokens, where a step makes more than one."""
    makes = None if estimate.serving is None else estimate.serving.makes
    if makes is None or makes == 1:
        return ""
    return f", each {makes:.2f}: one in {_second(estimate.time_per_token_s)}"


def _by_component(estimate: Estimate) -> str:
    """Where most of the joules go, the largest share first."""
    total_j = float(first(estimate.energy_j))
    found = {name: float(first(joules)) for name, joules in estimate.energy_by_j.items()}
    shares = sorted((item for item in found.items() if item[1] > 0), key=lambda item: -item[1])
    return "".join(f"; {name} {joules / total_j:.1%}" for name, joules in shares[:COMPONENTS])


def _memory_text(memory: MemoryFit) -> str:
    heads = ("weights", "KV cache", "activations", "reserve", "total", "capacity", "verdict")
    row = [
        _bytes(memory.weights_bytes),
        _bytes(memory.kv_cache_bytes),
        _bytes(memory.activations_bytes),
        _bytes(memory.reserve_bytes),
        _bytes(memory.total_bytes),
        _bytes(memory.capacity_bytes),
        _verdict(memory),
        f"{first(memory.largest_batch):,.0f}",
    ]
    return grid(("memory", *heads, "largest batch"), [["", *row]], left=(0,))


def _outermost(estimate: Estimate) -> str:
    """Name of the outermost memory, as people write it."""
    return "DRAM" if estimate.outermost == "dram" else estimate.outermost.capitalize()


def _verdict(memory: MemoryFit) -> str:
    return "fits" if first(memory.fits) else f"short by {_bytes(memory.short_by_bytes)}"


def _notes(title: str, notes: Sequence[str]) -> str:
    return "\n".join([title, *(wrapped("  -", note) for note in notes)]) if notes else ""


def _peak(device: Hardware, *dtypes: str) -> str:
    """The highest rate of any unit at the first of these formats that one knows."""
    for dtype in dtypes:
        rates = [
            unit.rate_per_s[dtype] for unit in device.units.values() if dtype in unit.rate_per_s
        ]
        if rates:
            return rate(max(rates, key=lambda rate: float(first(rate))), "flop_per_s")
    return "-"


def _second(value: Amount) -> str:
    return show(float(first(value)), "s")


def _bytes(value: Amount) -> str:
    return show(float(first(value)), "bytes")


def _joules(value: Amount | None) -> str:
    return "-" if value is None else show(float(first(value)), "j")


def _count(value: Amount | None) -> str:
    return "-" if value is None else show(float(first(value)), "").rstrip()


def _times(value: Amount, of: Amount) -> str:
    other = float(first(of))
    return f"{float(first(value)) / other:.3g}x" if other else "-"
