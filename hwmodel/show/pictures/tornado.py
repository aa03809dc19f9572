"""A tornado chart: how far time and energy swing with each number of a machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from hwmodel.hardware.parameters import Number
from hwmodel.quantity.errors import InputError
from hwmodel.show.pictures.style import PALETTE, draws, legend, panels, plain_axes, saved, titled

BARS = 12
LEAST = 2e-3
"""Share of the whole below which a swing is not drawn."""


class Swing(Protocol):
    """Times and joules with one number lower and higher (`hwmodel.whatif.sensitivity.Effect`)."""

    @property
    def number(self) -> Number: ...  # noqa: D102
    @property
    def time_low_s(self) -> float: ...  # noqa: D102
    @property
    def time_high_s(self) -> float: ...  # noqa: D102
    @property
    def energy_low_j(self) -> float: ...  # noqa: D102
    @property
    def energy_high_j(self) -> float: ...  # noqa: D102


class Swings(Protocol):
    """What `hwmodel.sensitivity` answers."""

    @property
    def workload(self) -> str: ...  # noqa: D102
    @property
    def machine(self) -> str: ...  # noqa: D102
    @property
    def time_s(self) -> float: ...  # noqa: D102
    @property
    def energy_j(self) -> float: ...  # noqa: D102
    @property
    def swing(self) -> float: ...  # noqa: D102
    @property
    def effects(self) -> Sequence[Swing]: ...  # noqa: D102


@draws("what hw.sensitivity answers", "effects")
def tornado(found: Swings, path: str | Path | None = None, *, ax: Any = None) -> Any:
    """Draw the swings of time and of energy, the widest on top. Returns the figure, or `ax`.

    `ax` are axes to draw into, one for each of the two that swing. Raises `InputError` where no
    number has an effect.
    """
    time = [(e.number.path, e.time_low_s, e.time_high_s) for e in found.effects]
    energy = [(e.number.path, e.energy_low_j, e.energy_high_j) for e in found.effects]
    both = [("time", found.time_s, time), ("energy", found.energy_j, energy)]
    rows = [(name, base, _widest(swings, base)) for name, base, swings in both if base > 0]
    rows = [(name, base, swings) for name, base, swings in rows if swings]
    if not rows:
        raise InputError(
            f"tornado: expected numbers with an effect on {found.workload}, found none"
        )
    tallest = max(len(swings) for _, _, swings in rows)
    size = (5.5 * len(rows), 1.3 + 0.32 * tallest)
    drawn, across = panels(size, len(rows), ax)
    for axes, (name, base, swings) in zip(across, rows, strict=True):
        _panel(axes, name, base, swings, tallest)
    from matplotlib.patches import Patch as patch

    sides = ((PALETTE[3], "lower"), (PALETTE[0], "higher"))
    keys = [patch(color=colour, label=f"number {found.swing:.0%} {side}") for colour, side in sides]
    look: dict[str, Any] = {"loc": "outside lower center", "ncols": 2, "frameon": False}
    legend(drawn, across[0], ax, handles=keys, fontsize=9, **look)
    titled(drawn, across[0], ax, f"{found.workload} on {found.machine}: one number at a time")
    return saved(drawn, path, ax)


def _widest(swings: Sequence[tuple[str, float, float]], base: float) -> list[Any]:
    """The numbers with the widest swings that can run on both sides."""

    def width(each: tuple[str, float, float]) -> float:
        return max(abs(each[1] / base - 1), abs(each[2] / base - 1))

    able = [each for each in swings if each[1] == each[1] and each[2] == each[2]]
    return sorted((e for e in able if width(e) >= LEAST), key=lambda e: -width(e))[:BARS]


def _panel(axes: Any, name: str, base: float, swings: Sequence[Any], tallest: int) -> None:
    for place, (_, low, high) in enumerate(swings):
        bars = [(100 * (low / base - 1), PALETTE[3]), (100 * (high / base - 1), PALETTE[0])]
        for share, colour in sorted(bars, key=lambda bar: -abs(bar[0])):  # the shorter on top
            axes.barh(place, share, 0.7, color=colour)
    axes.set_yticks(range(len(swings)), [number for number, _, _ in swings])
    axes.set_ylim(tallest - 0.4, -0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(f"change of {name} [%]")
    plain_axes(axes)
    axes.grid(visible=False, axis="y")
