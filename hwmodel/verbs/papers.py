"""`papers`: published claims beside what the model says, as a table or JSON.

Every module of `validation/papers` that has `claims()` is asked; a module named on the command line
alone, where one is.
"""

from collections.abc import Sequence
from importlib import import_module
from inspect import getfile
from pathlib import Path
from typing import Annotated, Any, ClassVar

from hwmodel.quantity.errors import UnknownNameError
from hwmodel.text.grid import grid
from hwmodel.validation.papers.claim import Claim
from hwmodel.verbs.ask import AS_IS, Question, Word, in_python

NOT_SYSTEMS = ("claim",)
SIGNS = {"": "", "least": "≥ ", "most": "≤ "}


class Papers(Question):
    """Published claims, recomputed by the model; exit status 1 where one does not hold."""

    verb: ClassVar[str] = "papers"
    example: ClassVar[str] = "papers fusemax"

    places: ClassVar[tuple[str, ...]] = ("names",)

    names: Annotated[
        Sequence[str] | str,
        AS_IS,
        Word("Systems (default: all).", list[str], place=True, complete="papers"),
    ] = ()

    def answer(self) -> tuple[Claim, ...]:
        """The claims of these systems; raises `UnknownNameError`."""
        return claimed((self.names,) if isinstance(self.names, str) else self.names)

    def record(self, answer: tuple[Claim, ...]) -> list[dict[str, Any]]:
        """Every field of every claim."""
        return record(answer)

    def text(self, answer: tuple[Claim, ...]) -> str:
        """One row a claim."""
        return papers_text(answer)

    def status(self, answer: tuple[Claim, ...]) -> int:
        """1 where a claim does not hold."""
        return 0 if all(claim.holds for claim in answer) else 1


def systems() -> tuple[str, ...]:
    """Modules with claims, in alphabetical order."""
    found = {path.stem for path in Path(getfile(Claim)).parent.glob("*.py")}
    return tuple(sorted(found - set(NOT_SYSTEMS)))


papers = in_python(Papers)


def claimed(names: Sequence[str]) -> tuple[Claim, ...]:
    """The claims of these systems, or of all; raises `UnknownNameError`."""
    known = systems()
    for name in names:
        if name not in known:
            raise UnknownNameError("system with published claims", name, known)
    found: list[Claim] = []
    for name in names or known:
        found += import_module(f"hwmodel.validation.papers.{name}").claims()
    return tuple(found)


def papers_text(claims: Sequence[Claim]) -> str:
    """One row a claim, and how many hold."""
    rows = [
        [
            claim.system,
            claim.quantity,
            f"{SIGNS[claim.published_as]}{claim.published:.6g}",
            f"{claim.ours:.6g}",
            _share(claim.error, signed=True),
            _share(claim.tolerance),
            "yes" if claim.holds else "NO",
        ]
        for claim in claims
    ]
    heads = ("system", "claim", "published", "ours", "error", "within", "holds")
    sources = dict.fromkeys(f"{claim.system}: {claim.source}" for claim in claims)
    kept = sum(claim.holds for claim in claims)
    text = f"{kept} of {len(claims)} published claims hold"
    return "\n\n".join((text, grid(heads, rows, left=(0, 1)), "\n".join(sources)))


def record(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Every field of every claim, for JSON."""
    return [{**vars(claim), "error": claim.error, "holds": claim.holds} for claim in claims]


def _share(value: float, *, signed: bool = False) -> str:
    """A share that people read: percent, or a power of ten where it is next to nothing."""
    if abs(value) < 5e-6:
        return "0" if value == 0 else f"{value:.0e}"
    return f"{value:+.2%}" if signed else f"{value:.2g}" if value < 1e-4 else f"{value:.1%}"
