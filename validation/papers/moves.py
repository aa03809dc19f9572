"""How much a claim moves as one input of its program is changed: what it depends on."""

from dataclasses import replace

from hwmodel.validation.papers.claim import Claim, Move, Program
from hwmodel.validation.papers.given import Given

LEAST = 1e-6
"""Relative: what rounding alone does not do."""


def moved(program: Program, *, every: bool = True) -> tuple[Claim, ...]:
    """The claims of a program, each with what moves it.

    Without `every`, inputs are changed one after another until each claim has moved once, figures
    by more than a factor.
    """
    given, tried = Given(), 0
    claims = tuple(program(given))
    found: list[list[Move]] = [[] for _ in claims]

    def told() -> tuple[Claim, ...]:
        """The claims with what is found so far."""
        each = zip(claims, found, strict=True)
        return tuple(replace(claim, moves=tuple(moves), tried=tried) for claim, moves in each)

    for name, change in given.inputs.items():
        if not every and all(claim.moved for claim in told()):
            break
        tried += 1
        others = tuple(program(Given(name)))
        if len(others) != len(claims):
            raise AssertionError(
                f"{name}: {len(claims)} claims as published, {len(others)} with {change}"
            )
        for moves, claim, other in zip(found, claims, others, strict=True):
            by = _relative(claim.ours, other.ours)
            if abs(by) > LEAST:
                moves.append(Move(name, change, by, name in given.factors))
    return told()


def _relative(one: float, other: float) -> float:
    return other / one - 1 if one else float(other != one)
