"""How good an answer is: a proven bound within the mapspace, and one for any schedule at all.

Every mapper returns its answer with a `Certificate`. Two statements stand in it:

    optimal_in_mapspace   nothing in the named, documented mapspace is better
    gap_to_bound          (value - bound) / value against a bound that no schedule can beat

The value is what the mapper minimises (bytes, joules, seconds, crossings), as the model costs it
again from the mapping; `unit` names it.
"""

from dataclasses import dataclass
from typing import Any

from hwmodel.quantity.errors import HwmodelError


@dataclass(frozen=True)
class Certificate:
    """What a mapper can prove of its answer.

    Attributes:
        objective: what is minimised ("traffic", "energy", "latency", "crossings").
        unit: unit of value and bounds ("bytes", "J", "s", "cycles", "").
        value: the answer's value, costed again by the model.
        mapspace: name of the set that was searched.
        mapspace_bound: least value that any member of that set can have, as far as proven.
        bound: least value of any schedule.
        bound_reason: the theorem or derivation that `bound` rests on.
        candidates: mappings looked at.
        solve_time_s: wall-clock seconds that the mapper took.
        given: what the mapspace holds fixed, so that the optimum is one under these rules alone.
    """

    objective: str
    unit: str
    value: float
    mapspace: str
    mapspace_bound: float
    bound: float
    bound_reason: str
    candidates: int
    solve_time_s: float
    given: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """A bound above the value is a wrong proof: refuse it rather than print it."""
        slack = 1e-9 * abs(self.value)
        for name, least in (("mapspace_bound", self.mapspace_bound), ("bound", self.bound)):
            if least > self.value + slack:
                raise HwmodelError(
                    f"certificate of {self.mapspace}: {name} {least:.12g} {self.unit} is above the"
                    f" value {self.value:.12g} {self.unit}; one of the two is wrong"
                )

    @property
    def optimal_in_mapspace(self) -> bool:
        """Whether nothing in the mapspace is better."""
        return self.mapspace_gap == 0.0

    @property
    def mapspace_gap(self) -> float:
        """(value - mapspace_bound) / value; 0 is a proven optimum of the mapspace."""
        return _gap(self.value, self.mapspace_bound)

    @property
    def gap_to_bound(self) -> float:
        """(value - bound) / value against the bound for any schedule."""
        return _gap(self.value, self.bound)

    @property
    def words(self) -> str:
        """What is proven within the mapspace, and under what."""
        said = (
            f"nothing in {self.mapspace!r} is better"
            if self.optimal_in_mapspace
            else f"at most {self.mapspace_gap:.2%} above the best in {self.mapspace!r}"
        )
        return f"{said}, given {' and '.join(self.given)}" if self.given else said

    def record(self) -> dict[str, Any]:
        """The fields that every mapper's answer carries, for JSON and tables."""
        return {
            "objective": self.objective,
            "unit": self.unit,
            "value": self.value,
            "bound": self.bound,
            "bound_reason": self.bound_reason,
            "gap_to_bound": self.gap_to_bound,
            "mapspace": self.mapspace,
            "mapspace_given": list(self.given),
            "mapspace_gap": self.mapspace_gap,
            "optimal_in_mapspace": self.optimal_in_mapspace,
            "candidates": self.candidates,
            "solve_time_s": self.solve_time_s,
        }


def _gap(value: float, least: float) -> float:
    """Relative distance; rounding below 1e-12 of the value is no gap."""
    gap = (value - least) / value if value else 0.0
    return 0.0 if gap < 1e-12 else gap
