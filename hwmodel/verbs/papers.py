"""`papers`: published claims beside what the model says, and what moves them.

Every module of `validation/papers` that has `PROGRAMS` is asked; where modules or files of yours
are named, those alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from inspect import getfile
from pathlib import Path
from typing import Annotated, Any, ClassVar

from hwmodel.machines.gpu.libraries.importable import imported
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.text.grid import grid
from hwmodel.text.markup import Brief
from hwmodel.validation.papers.claim import Claim, Program
from hwmodel.validation.papers.given import Given
from hwmodel.validation.papers.moves import moved
from hwmodel.verbs.ask import AS_IS, Question, Word, in_python

NOT_SYSTEMS = ("claim", "coverage", "given", "moves")
SIGNS = {"": "", "least": "≥ ", "most": "≤ "}


class Claims(Brief, tuple[Claim, ...]):
    """Claims, which print as a table of them, and of what moves them where that was asked."""

    def __str__(self) -> str:
        """How many hold, and a row each."""
        return (moves_text if any(each.moves is not None for each in self) else papers_text)(self)


class Papers(Question):
    """Published claims, recomputed by the model; exit status 1 where one does not hold.

    With `moves` each input of a claim's program, a number of the workload or of a machine, is
    changed in turn, and the answer is what moved each claim: status 1 where nothing moves one.
    """

    verb: ClassVar[str] = "papers"
    drawn: ClassVar[str] = "html"
    example: ClassVar[str] = "papers mcunetv2"

    places: ClassVar[tuple[str, ...]] = ("names",)

    names: Annotated[
        Sequence[str] | str,
        AS_IS,
        Word(
            "Systems, or files of claims (default: all of ours).",
            list[str],
            place=True,
            complete="papers",
        ),
    ] = ()
    moves: Annotated[bool, Word("Change each input in turn: what moves each claim.")] = False
    html: Annotated[
        str | None, Word("A file for a page (.html) of claims and what moves them.", alone=True)
    ] = None

    def answer(self) -> "Claims":
        """The claims of these systems; raises `UnknownNameError`."""
        names = (self.names,) if isinstance(self.names, str) else self.names
        return Claims(claimed(names, moves=self.moves))

    def record(self, answer: tuple[Claim, ...]) -> list[dict[str, Any]]:
        """Every field of every claim."""
        return record(answer)

    def text(self, answer: tuple[Claim, ...]) -> str:
        """One row a claim."""
        return moves_text(answer) if self.moves else papers_text(answer)

    def draw(self, answer: tuple[Claim, ...], path: str) -> None:
        """The page, for which what moves each claim is worked out where it was not."""
        from hwmodel.validation.gallery import page

        known = all(claim.moves is not None for claim in answer)
        names = (self.names,) if isinstance(self.names, str) else self.names
        Path(path).write_text(
            page(answer if known else claimed(names, moves=True)), encoding="utf-8"
        )

    def status(self, answer: tuple[Claim, ...]) -> int:
        """1 where a claim does not hold, or where no input moves it that is more than a factor."""
        well = (claim.moved if self.moves else claim.holds for claim in answer)
        return 0 if all(well) else 1


def systems() -> tuple[str, ...]:
    """Modules with claims, in alphabetical order."""
    found = {path.stem for path in Path(getfile(Claim)).parent.glob("*.py")}
    return tuple(sorted(found - set(NOT_SYSTEMS)))


papers = in_python(Papers)


def programs(names: Sequence[str] = ()) -> Iterator[Program]:
    """The programs of these systems, files of yours among them, or of all of ours.

    Raises `UnknownNameError`, and of a file that has no `PROGRAMS` or fails `InputError`.
    """
    known = systems()
    for name in names:
        if name not in known and not name.endswith(".py"):
            raise UnknownNameError("system with published claims", name, known)
    for name in names or known:
        own = name.endswith(".py")
        module = f"{name}:PROGRAMS" if own else f"hwmodel.validation.papers.{name}:PROGRAMS"
        yield from imported(module)


def claimed(names: Sequence[str], *, moves: bool = False) -> tuple[Claim, ...]:
    """The claims of these systems, or of all, with what moves them; raises `UnknownNameError`."""
    ask: Callable[[Program], Sequence[Claim]] = moved if moves else lambda each: each(Given())
    return tuple(claim for program in programs(names) for claim in ask(program))


def papers_text(claims: Sequence[Claim]) -> str:
    """How many hold, of how many systems; one row a claim; causes of misses, and sources."""
    rows = [
        [
            claim.system,
            claim.quantity,
            f"{SIGNS[claim.published_as]}{claim.published:.6g}",
            f"{claim.ours:.6g}",
            _share(claim.error, signed=True),
            _share(claim.tolerance),
            ("yes" if claim.holds else "NO") + " (identity)" * claim.identity,
        ]
        for claim in claims
    ]
    heads = ("system", "claim", "published", "ours", "error", "within", "holds")
    missed = [claim for claim in claims if not claim.holds]
    blocks = [counted(claims), grid(heads, rows, left=(0, 1))]
    if missed:
        told = dict.fromkeys(f"{c.system}, {c.quantity}: {c.cause or 'not known'}" for c in missed)
        blocks.append("\n".join(("missed, likely since", *told)))
    sources = dict.fromkeys(f"{claim.system}: {claim.source}" for claim in claims)
    return "\n\n".join((*blocks, "\n".join(sources)))


def counted(claims: Sequence[Claim]) -> str:
    """Published figures that hold and are missed, of how many systems; identities apart."""
    figures = [claim.holds for claim in claims if not claim.identity]
    checked = [claim.holds for claim in claims if claim.identity]
    many = len({claim.system for claim in claims if not claim.identity})
    told = (
        f"{sum(figures)} of {len(figures)} published figures hold, of {many}"
        f" system{'' if many == 1 else 's'}; {len(figures) - sum(figures)} are missed"
    )
    return f"{told}; {sum(checked)} of {len(checked)} identities check" if checked else told


def moves_text(claims: Sequence[Claim]) -> str:
    """What moves each claim most, and how many of its inputs do."""
    rows: list[list[str]] = []
    for claim in claims:
        moves = claim.moves or ()
        most = max(moves, key=lambda move: abs(move.by), default=None)
        told = ("nothing", "", "") if most is None else (most.input, most.change, f"{most.by:+.1%}")
        rows.append([claim.system, claim.quantity, f"{len(moves)} of {claim.tried}", *told])
    heads = ("system", "claim", "move it", "most", "changed", "by")
    well = sum(claim.moved for claim in claims)
    text = f"{well} of {len(claims)} claims move as an input is changed"
    return "\n\n".join((text, grid(heads, rows, left=(0, 1, 3, 4))))


def record(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Every field of every claim, for JSON."""
    return [{**asdict(claim), "error": claim.error, "holds": claim.holds} for claim in claims]


def _share(value: float, *, signed: bool = False) -> str:
    """A share that people read: percent, or a power of ten where it is next to nothing."""
    if abs(value) < 5e-6:
        return "0" if value == 0 else f"{value:.0e}"
    return f"{value:+.2%}" if signed else f"{value:.2g}" if value < 1e-4 else f"{value:.1%}"
