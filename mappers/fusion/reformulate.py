"""Reformulations of a stable softmax between two sums: the same value in fewer passes.

The pattern, found by operators and ranks and never by names, over a rank m (FuseMax, MICRO 2024,
cascade 4; each tensor may have more ranks, the rows):

    G = max(m) S;   N = exp(S - G);   D = sum(m) N;   A = N / D;   O = sum(m) A * V

Since G is complete only after a pass over m, and D after another, m is walked three times. With m
in tiles m1 x m0, and exp(a - b) = exp(a - c) exp(c - b):

    two-pass    maxima and sums of each tile first; a second pass corrects every numerator once the
                row's maximum is known
    one-pass    running maximum, denominator and output along m1, corrected as the maximum grows
                (FuseMax cascade 5, FlashAttention-2), division left to the end
    recompute   S and N made again for each pass in place of being held: still three walks, but no
                fiber lives between them

All compute the same value (`einsum.evaluate` shows it); what they pay is operations, which are
counted here against those of the given form.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hwmodel.einsum.cascade import Access, Apply, Cascade, Einsum
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.notation import parse
from hwmodel.einsum.printer import show_einsum
from hwmodel.quantity.errors import CoverageError

TILES = (1, 2, 4, 8, 16, 32, 64, 128)
"""Tiles of the softmax's rank that are offered, where they divide it."""

_RECOMPUTE = """
{s}
{g} = max({m}) {S}
{s2}
{n} = exp({S2} - {g})
{d} = sum({m}) {n}
{s3}
{n2} = exp({S3} - {g})
{a} = {n2} / {d}
{o}
"""
_TWO = """
LM[{m}1, {r}] = max({m}0) {S}
SLN[{m}1, {m}0, {r}] = exp({S} - LM[{m}1, {r}])
SLD[{m}1, {r}] = sum({m}0) SLN[{m}1, {m}0, {r}]
GM[{r}] = max({m}1) LM[{m}1, {r}]
PLM[{m}1, {r}] = exp(LM[{m}1, {r}] - GM[{r}])
SD[{r}] = sum({m}1) SLD[{m}1, {r}] * PLM[{m}1, {r}]
CN[{m}1, {m}0, {r}] = SLN[{m}1, {m}0, {r}] * PLM[{m}1, {r}] / SD[{r}]
{o} = sum({m}1, {m}0) CN[{m}1, {m}0, {r}] * {V}
"""
_ONE = """
LM[{m}1, {r}] = max({m}0) {S}
RM[{m}1+1, {r}] = max(RM[{m}1, {r}], LM[{m}1, {r}]) ; RM[0, {r}] = -inf
SLN[{m}1, {m}0, {r}] = exp({S} - RM[{m}1+1, {r}])
SLD[{m}1, {r}] = sum({m}0) SLN[{m}1, {m}0, {r}]
SLNV[{m}1, {q}] = sum({m}0) SLN[{m}1, {m}0, {r}] * {V}
PRM[{m}1, {r}] = exp(RM[{m}1, {r}] - RM[{m}1+1, {r}])
SPD[{m}1, {r}] = PRM[{m}1, {r}] * RD[{m}1, {r}]
RD[{m}1+1, {r}] = SPD[{m}1, {r}] + SLD[{m}1, {r}] ; RD[0, {r}] = 0
SPNV[{m}1, {q}] = PRM[{m}1, {r}] * RNV[{m}1, {q}]
RNV[{m}1+1, {q}] = SPNV[{m}1, {q}] + SLNV[{m}1, {q}] ; RNV[0, {q}] = 0
{o} = RNV[{M}1, {q}] / RD[{M}1, {r}]
"""
_NEW = ("LM", "RM", "SLN", "SLD", "SLNV", "PRM", "SPD", "RD", "SPNV", "RNV")
_NEW_TWO = ("LM", "SLN", "SLD", "GM", "PLM", "SD", "CN")


@dataclass(frozen=True)
class Softmax:
    """The Einsums of a softmax between two sums, and the rank that it normalises."""

    rank: str
    scores: Einsum
    maximum: Einsum
    numerator: Einsum
    denominator: Einsum
    quotient: Einsum
    output: Einsum
    values: Access


@dataclass(frozen=True)
class Reformulation:
    """One form of a cascade: its name, and operations beyond those of the given form, by kind."""

    name: str
    cascade: Cascade
    extra_operations: dict[str, int]


def softmax_of(cascade: Cascade) -> Softmax | None:
    """The first softmax of the pattern, or None."""
    readers: dict[str, list[Einsum]] = {}
    for einsum in cascade.einsums:
        for access in dict.fromkeys(einsum.reads):
            readers.setdefault(access.tensor, []).append(einsum)
    for maximum in cascade.einsums:
        found = _pattern(maximum, cascade, readers)
        if found is not None:
            return found
    return None


def _pattern(maximum: Einsum, cascade: Cascade, readers: dict[str, list[Einsum]]) -> Softmax | None:
    scores = maximum.expression
    if len(maximum.reductions) != 1 or maximum.reductions[0][1] != "max":
        return None
    rank = maximum.reductions[0][0]
    made = {einsum.name: einsum for einsum in cascade.einsums}
    if not isinstance(scores, Access) or scores.tensor not in made:
        return None
    top = Access(maximum.name, maximum.output.indices)
    numerator = _reader(readers, top, Apply("exp", (Apply("subtract", (scores, top)),)))
    if numerator is None:
        return None
    denominator = _reader(readers, numerator.output, numerator.output, ((rank, "add"),))
    if denominator is None:
        return None
    divided = Apply("divide", (numerator.output, denominator.output))
    quotient = _reader(readers, denominator.output, divided)
    if quotient is None or len(readers.get(quotient.name, ())) != 1:
        return None
    output = readers[quotient.name][0]
    product = output.expression
    if output.reductions != ((rank, "add"),) or not isinstance(product, Apply):
        return None
    others = [a for a in product.arguments if a != quotient.output]
    if product.operator != "multiply" or len(others) != 1 or not isinstance(others[0], Access):
        return None
    inner = (scores.tensor, maximum.name, numerator.name, denominator.name, quotient.name)
    known = {maximum.name, numerator.name, denominator.name, quotient.name, output.name}
    if any(reader.name not in known for name in inner for reader in readers[name]):
        return None
    if any(name in cascade.outputs for name in inner):
        return None
    return Softmax(
        *(rank, made[scores.tensor], maximum, numerator, denominator, quotient, output, others[0])
    )


def _reader(
    readers: dict[str, list[Einsum]],
    access: Access,
    expression: object,
    reductions: tuple[tuple[str, str], ...] = (),
) -> Einsum | None:
    """The Einsum that computes just this from a tensor."""
    found = [
        einsum
        for einsum in readers.get(access.tensor, ())
        if einsum.expression == expression and einsum.reductions == reductions
    ]
    return found[0] if len(found) == 1 else None


def reformulations(cascade: Cascade, tiles: Iterable[int] = TILES) -> tuple[Reformulation, ...]:
    """The given cascade, and its other forms; the given one alone where no softmax is found.

    Forms in tiles are made for each tile that divides the rank. Raises `CoverageError` where a name
    or a rank that the forms introduce is taken.
    """
    forms = [Reformulation("as given", cascade, {})]
    softmax = softmax_of(cascade)
    if softmax is None or any(einsum.bands for einsum in cascade.einsums):
        return tuple(forms)
    forms.append(_form("recompute", _recompute(cascade, softmax), cascade))
    size = cascade.ranks[softmax.rank].size
    for tile in tiles:
        if isinstance(size, int) and size % tile == 0:
            for name, text, new in (("two-pass", _TWO, _NEW_TWO), ("one-pass", _ONE, _NEW)):
                made = _tiled(cascade, softmax, text, new, tile)
                forms.append(_form(f"{name}, tiles of {tile}", made, cascade))
    return tuple(forms)


def _form(name: str, cascade: Cascade, given: Cascade) -> Reformulation:
    before, after = _by_kind(given), _by_kind(cascade)
    kinds = dict.fromkeys((*after, *before))
    extra = {kind: after.get(kind, 0) - before.get(kind, 0) for kind in kinds}
    return Reformulation(name, cascade, {kind: n for kind, n in extra.items() if n})


def _by_kind(cascade: Cascade) -> dict[str, int]:
    total: dict[str, int] = {}
    for (kind, _), count in cascade_counts(cascade).items():
        total[kind] = total.get(kind, 0) + int(count)
    return total


def _recompute(cascade: Cascade, softmax: Softmax) -> Cascade:
    """Scores and numerators made anew in each pass."""
    scores, numerator = softmax.scores.output, softmax.numerator.output
    again = [_renamed(scores, f"{scores.tensor}_{at}") for at in (2, 3)]
    fresh = _renamed(numerator, f"{numerator.tensor}_2")
    _check_free(cascade, [a.tensor for a in (*again, fresh)], [])
    line = show_einsum(softmax.scores, cascade)
    _, _, made = line.partition(" = ")
    text = _RECOMPUTE.format(
        m=softmax.rank,
        s=line,
        S=_at(scores),
        s2=f"{_at(again[0])} = {made}",
        S2=_at(again[0]),
        s3=f"{_at(again[1])} = {made}",
        S3=_at(again[1]),
        g=_at(softmax.maximum.output),
        n=_at(numerator),
        n2=_at(fresh),
        d=_at(softmax.denominator.output),
        a=_at(softmax.quotient.output),
        o=show_einsum(softmax.output, cascade),
    )
    formats = {a.tensor: cascade.tensors[scores.tensor].dtype for a in again}
    formats[fresh.tensor] = cascade.tensors[numerator.tensor].dtype
    return _parsed(cascade, softmax, text, formats, {}, {})


def _tiled(
    cascade: Cascade, softmax: Softmax, text: str, new: tuple[str, ...], tile: int
) -> Cascade:
    """A form along tiles of the softmax's rank."""
    rank = softmax.rank
    own = {softmax.maximum.name, softmax.denominator.name, softmax.output.name}
    _check_free(cascade, [name for name in new if name not in own], [f"{rank}0", f"{rank}1"])
    body = text.format(
        m=rank,
        M=rank.upper(),
        r=", ".join(softmax.maximum.output.ranks),
        q=", ".join(softmax.output.output.ranks),
        S=_at(softmax.scores.output, rank),
        V=_at(softmax.values, rank),
        o=_at(softmax.output.output),
    )
    kinds = {name: cascade.tensors[softmax.denominator.name].dtype for name in new}
    kinds |= dict.fromkeys(("LM", "RM", "GM"), cascade.tensors[softmax.maximum.name].dtype)
    kinds["SLN"] = kinds["CN"] = cascade.tensors[softmax.numerator.name].dtype
    formats = {name: kinds[name] for name in new}
    header = f"rank {rank} = {rank}1 x {rank}0\n"
    return _parsed(cascade, softmax, body, formats, {f"{rank}0": tile}, {rank: header})


def _parsed(
    cascade: Cascade,
    softmax: Softmax,
    text: str,
    formats: dict[str, str],
    sizes: dict[str, int],
    headers: dict[str, str],
) -> Cascade:
    """The cascade with the softmax's Einsums replaced by a text."""
    named = ("maximum", "numerator", "denominator", "quotient", "output")
    own = {getattr(softmax, part).name for part in named}
    tiled = bool(headers)
    own |= set() if tiled else {softmax.scores.name}
    lines = [*headers.values()]
    for tensor in cascade.tensors.values():
        if tensor.name in cascade.inputs and tensor.role != "activation":
            axes = ", ".join(
                _split(softmax.rank) if tiled and r == softmax.rank else r for r in tensor.ranks
            )
            lines.append(f"tensor {tensor.name}[{axes}]: {tensor.role}\n")
    lines += [f"output {', '.join(cascade.outputs)}\n"] if cascade.outputs else []
    after = False
    for einsum in cascade.einsums:
        if einsum.name not in own:
            written = (
                _shown(einsum, cascade, softmax.rank) if tiled else show_einsum(einsum, cascade)
            )
            lines.append(f"{written}\n")
        elif not after and einsum.name in (softmax.maximum.name, softmax.scores.name):
            lines.append(text)
            after = True
    known = {rank.name: rank.size for rank in cascade.ranks.values() if rank.parent is None}
    kinds = {name: tensor.dtype for name, tensor in cascade.tensors.items()} | formats
    body = "".join(lines)
    kinds = {name: kind for name, kind in kinds.items() if f"{name}[" in body}
    return parse(body, sizes={**known, **sizes}, dtypes=kinds, name=cascade.name)


def _shown(einsum: Einsum, cascade: Cascade, rank: str) -> str:
    """An Einsum with the rank in two parts."""
    line = show_einsum(einsum, cascade)
    for access in dict.fromkeys((einsum.output, *einsum.reads)):
        line = line.replace(_at(access), _at(access, rank))
    return line


def _at(access: Access, rank: str = "") -> str:
    """A tensor at its ranks, the given one in two parts."""
    ranks: list[str] = []
    for index in access.indices:
        if index.rank is None:
            raise CoverageError(
                f"{access.tensor} stands at an affine index; reformulations cover plain ranks"
            )
        ranks.append(_split(rank) if index.rank == rank else index.rank)
    return f"{access.tensor}[{', '.join(ranks)}]"


def _split(rank: str) -> str:
    return f"{rank}1, {rank}0"


def _renamed(access: Access, name: str) -> Access:
    return Access(name, access.indices)


def _check_free(cascade: Cascade, names: list[str], ranks: list[str]) -> None:
    taken = [n for n in names if n in cascade.tensors] + [r for r in ranks if r in cascade.ranks]
    if taken:
        raise CoverageError(
            f"cascade {cascade.name!r}: {', '.join(taken)} would be a new name in a reformulation"
            " and is taken; rename it"
        )
