"""Which tile to launch one of our Triton kernels with: the menu, ranked by predicted time.

Nothing runs: every launch record of the kernel's menu that fits a processor's shared memory and
registers (`hwmodel.machines.gpu.schedules.triton_rules`) is timed by the model under the device's
calibration. Times are seconds; `low` and `high` hold 90 % of measurements.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from hwmodel.bounds.roofline import floor_of
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Workload
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.gpu.calls import run
from hwmodel.machines.gpu.least import busy_s
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.machines.gpu.lower import Call, lower
from hwmodel.machines.gpu.schedules.triton_rules import COMPLETED, MENUS
from hwmodel.mappers.mapper import Mapped, Proposal, only_cascade, proposed
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import show
from hwmodel.show.json import plain
from hwmodel.text.grid import grid, wrapped

KERNEL = "triton"


@dataclass(frozen=True)
class Ranked:
    """One launch record and its predicted time."""

    tile: Any
    time_s: float
    time_low_s: float
    time_high_s: float
    bottleneck: str

    def __str__(self) -> str:
        """The record in one line.

        >>> print(Ranked("64 x 64", 1e-6, 9e-7, 1.2e-6, "dram"))
        1.000e-06 s (9.000e-07 to 1.200e-06), dram binds: 64 x 64
        """
        between = f"{self.time_low_s:.3e} to {self.time_high_s:.3e}"
        return f"{self.time_s:.3e} s ({between}), {self.bottleneck} binds: {self.tile}"


@dataclass(frozen=True)
class Launches:
    """What is chosen on a GPU: launch records to try; `kernel` names one Einsum of several."""

    tiles: tuple[Any, ...]
    kernel: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Ranking(Mapped):
    """The launch records of one kernel, fastest first."""

    kernel: str
    device: str
    tiles: tuple[Ranked, ...]

    @property
    def best(self) -> Ranked:
        """The record to launch with."""
        return self.tiles[0]

    def record(self) -> dict[str, Any]:
        """Every record with its times, as JSON writes it."""
        named = {"kernel": self.kernel, "device": self.device}
        return plain({**named, **self.certificate.record(), "tiles": self.tiles})

    def __str__(self) -> str:
        """A row for each record, the fastest first; what all have alike stands below."""
        each = [cast(dict[str, Any], vars(ranked.tile)) for ranked in self.tiles]
        alike = {n: v for n, v in each[0].items() if all(tile[n] == v for tile in each)}
        differ = [name for name in each[0] if name not in alike]
        rows = [
            [
                *(str(tile[name]) for name in differ),
                show(ranked.time_s, "s"),
                f"{show(ranked.time_low_s, 's')} to {show(ranked.time_high_s, 's')}",
                f"{ranked.time_s / self.best.time_s:.2f}",
                ranked.bottleneck,
            ]
            for ranked, tile in zip(self.tiles, each, strict=True)
        ]
        heads = [*(_words(name) for name in differ), "time", "90 % interval", "over best", "binds"]
        head = f"{self.kernel} on {self.device}: {len(rows)} tiles of our Triton kernel, predicted"
        shared = ", ".join(f"{_words(name)} {value}" for name, value in alike.items())
        table = grid(heads, rows, left=(len(heads) - 1,))
        proof = self.certificate
        said = (
            f"{proof.words}; at least {show(proof.bound, 's')} for any schedule, a gap of"
            f" {proof.gap_to_bound:.1%}; {proof.bound_reason}"
        )
        return "\n\n".join((head, table, wrapped("all", shared), wrapped("proof", said)))


def _words(name: str) -> str:
    return name.removeprefix("block_").replace("_", " ")


def map_launches(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Mapping[str, float],
    kernel: str | None = None,
) -> Proposal:
    """The whole menu of our kernel, so that its best is the menu's; refusals as of `rank_tiles`."""
    one = _only(cascade, lower(cascade, KERNEL), kernel)
    menu = _menu(one, hardware)
    return Proposal(
        Launches(tuple(menu), kernel),
        mapspace=f"{one.schedule} menu",
        candidates=len(menu),
        optimal=True,
    )


def certified(
    mapper: Callable[..., Proposal],
    workload: Workload,
    hardware: Hardware,
    *,
    objective: str = "latency",
    **asked: Any,
) -> Ranking:
    """The launch records that a mapper proposes, timed and ranked; the certificate is the best's.

    Raises `InputError` for records that are not of the kernel's menu, and what `rank_tiles` and the
    mapper raise.
    """
    cascade = only_cascade(workload, hardware, lambda one: _only(one, lower(one, KERNEL), None))
    started_s = time.perf_counter()
    found = proposed(mapper, cascade, hardware, objective=objective, **asked)
    choice = found.choice
    if not isinstance(choice, Launches) or not choice.tiles:
        raise InputError(
            f"{hardware.name}: expected hwmodel.mappers.gpu_tiles.Launches of one record or more as"
            f" a proposal's choice, found {shown(choice)}"
        )
    one = _only(cascade, lower(cascade, KERNEL), choice.kernel)
    menu = _menu(one, hardware)
    for tile in choice.tiles:
        if tile not in menu:
            raise InputError(
                f"{one.name} on {hardware.name}: expected launch records of the {one.schedule} menu"
                f" that fit, {len(menu)} of them, found {shown(tile)}"
            )
    ranked = _ranked(one, hardware, choice.tiles)
    least_s = min(_least_s(one, hardware), ranked[0].time_s)
    general = least_s, "operations and bytes of the kernel, each at its full rate"
    took_s = time.perf_counter() - started_s
    whole = one.name in (cascade.name, *cascade.outputs)
    return Ranking(
        certificate=found.certificate(objective, "s", ranked[0].time_s, general, took_s),
        kernel=cascade.name if whole else f"{one.name} of {cascade.name}",
        device=hardware.name,
        tiles=tuple(ranked),
    )


def rank_tiles(cascade: Cascade, hardware: Hardware, *, call: str | None = None) -> list[Ranked]:
    """Launch records of our kernel for a cascade of single sizes, fastest first.

    `call` names one of the kernels that the cascade is lowered to, where there are several. Raises
    `InputError` for another name or sizes that are arrays, `CapacityError` where no record fits,
    `CoverageError` for a device without calibration.
    """
    one = _only(cascade, lower(cascade, KERNEL), call)
    return _ranked(one, hardware, _menu(one, hardware))


def _menu(one: Call, hardware: Hardware) -> Sequence[Any]:
    """Launch records of the kernel that fit."""
    menu = MENUS[one.schedule](one.problem, limits(hardware))
    if not menu:
        raise CapacityError(
            f"{one.name} on {hardware.name}: no tile of the {one.schedule} menu fits the shared"
            " memory of a block; choose a device with more, or a narrower format"
        )
    return menu


def _least_s(one: Call, hardware: Hardware) -> float:
    return float(floor_of(one.work, hardware, busy_s(one.work.stages, hardware)).time_s)


def _ranked(one: Call, hardware: Hardware, menu: Sequence[Any]) -> list[Ranked]:
    """Each launch record with its predicted time, fastest first."""
    if hardware.calibration is None:
        raise CoverageError(f"{hardware.name}: has no calibration; load it with hwmodel.device()")
    family = family_of(hardware.calibration, one.family)
    values = {name: parameter.value for name, parameter in family.parameters.items()}
    low, high = family.interval
    least_s = _least_s(one, hardware)
    found: list[Ranked] = []
    for tile in menu:
        tried = replace(one, menu=(tile,), resolve=COMPLETED.get(one.schedule))
        folded = run(tried, hardware, values).folded
        time_s = float(folded.time_s)
        binding = max(folded.busy_s, key=lambda name: float(folded.busy_s[name]))
        low_s = min(max(low * time_s, least_s), time_s)
        found.append(Ranked(tile, time_s, low_s, high * time_s, binding))
    return sorted(found, key=lambda ranked: ranked.time_s)


def _only(cascade: Cascade, calls: Sequence[Call], name: str | None) -> Call:
    names = [each.name for each in calls]
    chosen = [each for each in calls if name in (None, each.name)]
    if len(chosen) != 1:
        raise InputError(
            f"rank_tiles of {cascade.name!r}: expected one kernel, found"
            f" {', '.join(names)}; name one with call="
        )
    sizes = cast(dict[str, Any], vars(chosen[0].problem))
    if any(np.ndim(size) for size in sizes.values()):
        raise InputError(
            f"rank_tiles of {cascade.name!r}: expected single sizes, found arrays; rank point by"
            " point"
        )
    return chosen[0]
