"""From the parse tree of a cascade's text to its template; refusals name line and column.

`notation.py` has the meaning of the text and `cascade.lark` its grammar.
"""

import math
from collections.abc import Iterable, Set
from typing import NoReturn, cast

import numpy as np
from lark import Token, Tree

from hwmodel.einsum.cascade import (
    Access,
    Apply,
    Band,
    Constant,
    Einsum,
    Expression,
    Extent,
    Index,
    Initial,
    Tensor,
)
from hwmodel.einsum.density import density
from hwmodel.einsum.operators import ALIASES as OPERATOR_ALIASES
from hwmodel.einsum.operators import OPERATORS, SYMBOLS
from hwmodel.einsum.template import (
    Arithmetic,
    DistributionForm,
    EinsumForm,
    RankForm,
    Size,
    Symbol,
    Template,
)
from hwmodel.einsum.tree import (
    Branch,
    Node,
    Terms,
    axis_of,
    complement,
    folded,
    pads_of,
    token_of,
    tokens_of,
    trees_of,
    weight_of,
)
from hwmodel.quantity.dtypes import ALIASES, DTYPES, dtype
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import printable
from hwmodel.quantity.reading import DIGITS, EINSUMS, EXPRESSION_DEPTH
from hwmodel.quantity.units import LARGEST_BITS

LONGEST_SHOWN = 500
"""Characters of a line that an error shows beside its place."""

ROLES = ("activation", "weight", "cache")
DISTRIBUTIONS = {
    **{"balanced": (1, 3), "uniform": (1, 3), "zipf": (3, 4), "hot": (3, 4), "power": (3, 4)},
}
"""Kind -> least and most arguments: draws, picks, the exponent of zipf and power or the share of
hot, and how many devices divide the members."""


def error_at(text: str, name: str, line: int, column: int, message: str) -> InputError:
    """An error that shows the line and points at the column (both from 1)."""
    lines = text.split("\n")
    said = f"cascade {name!r}, line {line}, column {column}: {message}"
    at = printable(lines[min(line, len(lines)) - 1].rstrip("\r").expandtabs(1))
    if len(at) > LONGEST_SHOWN:
        return InputError(said)
    return InputError(f"{said}\n  {at}\n  {' ' * (column - 1)}^")


def read(tree: Node, text: str, name: str) -> Template:
    """What a parsed text says."""
    return _Reader(text, name).read(tree)


class _Reader:
    """One walk over a parsed text; every refusal names the line and the column."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.forms: dict[str, RankForm] = {}
        self.tensors: dict[str, Tensor] = {}
        self.axes: dict[str, list[tuple[int, str | None]]] = {}
        self.where: dict[str, Node] = {}
        self.ranks: set[str] = set()
        self.made: set[str] = set()
        self.initials: list[Initial] = []
        self.parameters: dict[str, None] = {}

    def read(self, tree: Node) -> Template:
        lines = trees_of(tree)
        for line in lines:
            self._check_depth(line)
        made = [line for line in lines if line.data == "einsum"]
        for node in tree.find_data("access"):
            self.ranks |= {str(token_of(n)) for n in node.find_data("name")}
        if not made:
            raise InputError(f"cascade {self.name!r}: expected at least one Einsum, found none")
        if len(made) > EINSUMS:
            raise InputError(
                f"cascade {self.name!r}: expected at most {EINSUMS:,} Einsums, found {len(made):,}"
            )
        self.made = {str(token_of(trees_of(line)[0])) for line in made}
        outputs: list[str] = []
        for line in lines:
            if line.data == "rank_line":
                for item in trees_of(line):
                    self._rank(item)
            elif line.data == "tensor_line":
                self._tensor(line)
            elif line.data == "output_line":
                outputs += [self._output(token) for token in tokens_of(line)]
        einsums = [form for line in made for form in self._einsum(line)]
        self._check_inferred_axes()
        read = {access.tensor for form in einsums for access in form.einsum.reads}
        for form in einsums:
            self._note_iteration(form.einsum, read)
        self.parameters = {p: None for p in self.parameters if p not in self.forms}
        unread = [form.einsum.name for form in einsums if form.einsum.name not in read]
        return Template(
            ranks=tuple(self.forms.values()),
            tensors=tuple(self.tensors.values()),
            einsums=tuple(einsums),
            initials=tuple(self.initials),
            outputs=tuple(outputs or dict.fromkeys(unread)),
            parameters=tuple(self.parameters),
        )

    # Declarations

    def _check_depth(self, line: Node) -> None:
        """Refuse what is nested deeper than all that walks over it could go; sums nest too."""
        level: list[Node] = [line]
        for _ in range(EXPRESSION_DEPTH):
            level = [child for node in level for child in trees_of(node)]
            if not level:
                return
        self._fail(
            line,
            f"expected at most {EXPRESSION_DEPTH} brackets, signs and terms within one another;"
            " divide it into several Einsums",
        )

    def _rank(self, item: Node) -> None:
        names = tokens_of(item)
        rank = str(names[0])
        if item.data == "sized":
            self._form(rank, size=self._size(item.children[1]))
        elif item.data == "partitioned":
            self._form(rank)
            for part, name in enumerate(reversed(names[1:])):
                self._form(str(name), parent=rank, part=part)
        else:
            over, kind = str(names[1]), str(names[2])
            if kind not in DISTRIBUTIONS:
                error = UnknownNameError("distribution", kind, DISTRIBUTIONS)
                self._fail(names[2], str(error))
            arguments = tuple(self._size(node) for node in item.children[3:])
            least, most = DISTRIBUTIONS[kind]
            if not least <= len(arguments) <= most:
                self._fail(
                    names[2],
                    f"{kind} takes {least} to {most} arguments (draws, picks, exponent or share"
                    f" where it has one, devices), found {len(arguments)}",
                )
            self._form(over)
            self._form(rank, distribution=DistributionForm(kind, over, arguments))

    def _form(self, rank: str, **fields: object) -> None:
        """Note a rank, adding what this place says about it."""
        self.ranks.add(rank)
        known = self.forms.get(rank, RankForm(rank))
        self.forms[rank] = RankForm(**{**vars(known), **fields})  # pyright: ignore[reportArgumentType]

    def _tensor(self, line: Node) -> None:
        token = tokens_of(line)[0]
        axes, fields, filled = trees_of(line)
        if token in self.tensors:
            self._fail(token, f"tensor {token} is declared twice")
        spans = [tokens_of(axis) for axis in trees_of(axes)]
        ranks = tuple(str(span[0]) for span in spans)
        pads = tuple(pads_of(span, self._fail) for span in spans if len(span) > 1)
        kind, role = "bf16", "activation"
        for word in tokens_of(fields):
            if word in ROLES:
                role = str(word)
            elif word in DTYPES or word in ALIASES:
                kind = dtype(word).name
            else:
                known = (*DTYPES, *ROLES)
                self._fail(word, str(UnknownNameError("dtype or role", str(word), known)))
        for rank in ranks:
            self._form(rank)
        said, share = tokens_of(filled), None
        if said:
            where = f"cascade {self.name!r}: {token}"
            share = density(" ".join(map(str, said)), ranks=ranks, where=where)
        self.tensors[str(token)] = Tensor(str(token), ranks, kind, role, share, pads)

    def _output(self, token: Token) -> str:
        if token not in self.made:
            self._fail(token, f"output {token} is made by no Einsum")
        return str(token)

    # Einsums

    def _einsum(self, line: Node) -> Iterable[EinsumForm]:
        target, value, bands, density, probability, initials = cast(list[Node], line.children)
        output = self._access(target)
        reductions: list[tuple[str, str, Token]] = []
        while value.data == "reduction":
            symbol, *ranks = cast(list[Token], value.children[:-1])
            reductions += [(str(rank), self._reducer(symbol), rank) for rank in ranks]
            value = cast(Node, value.children[-1])
        expression = self._expression(value)
        for initial in trees_of(initials):
            access, number = cast(list[Node], initial.children)
            constant = self._expression(number)
            if not isinstance(constant, Constant):
                self._fail(number, "expected a number or inf as initial value")
            self.initials.append(Initial(self._access(access), constant.value))
        einsum = Einsum(output, expression)
        missing = [rank for rank in einsum.ranks if rank not in output.ranks]
        for rank, _, token in reductions:
            if rank not in missing:
                why = "the output keeps it" if rank in output.ranks else "the value lacks it"
                self._fail(token, f"cannot reduce rank {rank}: {why}")
            missing.remove(rank)
        kept, limits = self._bands(bands)
        yield EinsumForm(
            Einsum(
                output,
                expression,
                (*((r, o) for r, o, _ in reductions), *((rank, "add") for rank in missing)),
                kept,
            ),
            limits,
            self._size(density.children[0]) if density.children else 1.0,
            self._size(probability.children[0]) if probability.children else 1.0,
        )

    def _reducer(self, token: Token) -> str:
        name = "add" if token.type == "PLUS" else self._operator(token)
        if OPERATORS[name].identity is None:
            known = ", ".join(o.name for o in OPERATORS.values() if o.identity is not None)
            self._fail(token, f"{name} cannot reduce; expected one of {known}")
        return name

    def _operator(self, token: Token) -> str:
        name = OPERATOR_ALIASES.get(str(token), str(token))
        if name not in OPERATORS:
            self._fail(token, str(UnknownNameError("operator", str(token), OPERATORS)))
        return name

    def _expression(self, node: Node) -> Expression:
        if node.data == "number":
            return Constant(float(self._number(token_of(node))))
        if node.data == "infinity":
            return Constant(float("inf"))
        if node.data == "access":
            token = token_of(node)
            if len(node.children) == 1 and self._is_extent(str(token)):
                self._form(token.lower())
                return Extent(token.lower())
            return self._access(node)
        if node.data == "minus":
            (argument,) = (self._expression(child) for child in trees_of(node))
            if isinstance(argument, Constant):
                return Constant(-argument.value)
            return Apply("negate", (argument,))
        if node.data == "infix":
            left, sign, right = cast(tuple[Node, Token, Node], tuple(node.children))
            name = SYMBOLS[str(sign)].name
            return Apply(name, (self._expression(left), self._expression(right)))
        name = self._operator(token_of(node))
        arguments = tuple(self._expression(child) for child in trees_of(node))
        row = OPERATORS[name]
        if not row.map or len(arguments) != row.arity:
            wanted = f"{row.arity} argument{'s' * (row.arity != 1)}"
            use = f"takes {wanted}, found {len(arguments)}" if row.map else "only reduces"
            self._fail(token_of(node), f"{name} {use}")
        return Apply(name, arguments)

    def _is_extent(self, name: str) -> bool:
        known = name in self.made or name in self.tensors
        return not known and name.lower() in self.ranks

    def _access(self, node: Node) -> Access:
        tensor = str(token_of(node))
        indices = tuple(self._index(cast(Node, child)) for child in node.children[1:])
        axes = [axis_of(index) for index in indices]
        declared = self.tensors.get(tensor)
        if declared is None:
            self.where[tensor] = node
            known = self.axes.setdefault(tensor, axes)
            count = len(known)
            self.axes[tensor] = [
                min(a, b, key=weight_of) for a, b in zip(known, axes, strict=False)
            ]
        else:
            count = len(declared.ranks)
        if count != len(axes):
            self._fail(
                node, f"tensor {tensor} has {count} indices elsewhere, found {len(axes)} here"
            )
        return Access(tensor, indices)

    def _index(self, node: Node) -> Index:
        terms, rest = self._linear(node)
        for rank in terms:
            self._form(rank)
        offset, at = rest, None
        if isinstance(rest, Arithmetic) and isinstance(rest.left, Symbol):
            sign = {"+": 1, "-": -1}.get(rest.operator, 0)
            at, offset = rest.left.name, rest.right * sign if isinstance(rest.right, int) else rest
        elif isinstance(rest, Symbol):
            at, offset = rest.name, 0
        if not isinstance(offset, int) or (at is not None and at not in self.ranks):
            self._fail(node, "expected an affine index such as i, 2*y+r, m+1 or the extent M")
        return Index(tuple(terms.items()), offset, at)

    # Bands

    def _bands(
        self, node: Node
    ) -> tuple[tuple[Band, ...], tuple[tuple[Size | None, Size | None], ...]]:
        found: list[tuple[Terms, Size | None, Size | None]] = []
        for chain in trees_of(node):
            parts = chain.children
            for left, sign, right in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
                new = self._relation(left, str(sign), right, chain)
                place = next((i for i, old in enumerate(found) if complement(old, new)), None)
                if place is None:
                    found.append(new)
                else:
                    terms, low, high = found[place]
                    found[place] = (
                        terms,
                        new[1] if low is None else low,
                        new[2] if high is None else high,
                    )
        return tuple(Band(terms) for terms, *_ in found), tuple(row[1:] for row in found)

    def _relation(
        self, left: Branch, sign: str, right: Branch, chain: Node
    ) -> tuple[tuple[tuple[str, int], ...], Size | None, Size | None]:
        """`left sign right` as (canonical terms, low, high)."""
        ours, rest = self._linear(left)
        theirs, other = self._linear(right)
        terms = {r: ours.get(r, 0) - theirs.get(r, 0) for r in sorted({*ours, *theirs})}
        terms = {rank: factor for rank, factor in terms.items() if factor}
        if not terms:
            self._fail(chain, "expected a rank in the band, found none")
        limit = folded("-", other, rest)  # terms sign limit
        if next(iter(terms.values())) < 0:
            terms = {rank: -factor for rank, factor in terms.items()}
            limit = folded("-", 0, limit)
            sign = sign.translate(str.maketrans("<>", "><"))
        for rank in terms:
            self._form(rank)
        low = limit if sign in (">=", "==") else folded("+", limit, 1) if sign == ">" else None
        high = limit if sign in ("<=", "==") else folded("-", limit, 1) if sign == "<" else None
        return tuple(terms.items()), low, high

    # Sizes

    def _size(self, node: Branch) -> Size:
        return self._linear(node, ranks=frozenset())[1]

    def _linear(
        self, node: Branch, *, ranks: Set[str] | None = None
    ) -> tuple[dict[str, int], Size]:
        """Integer multiples of ranks (default: any rank), and the rest as a size."""
        assert isinstance(node, Tree)
        if node.data == "array":
            entries = [self._size(child) for child in trees_of(node)]
            if any(isinstance(entry, (Symbol, Arithmetic)) for entry in entries):
                self._fail(node, "expected numbers in an array")
            return {}, np.array(entries, dtype=np.float64)
        if node.data == "number":
            return {}, self._number(token_of(node))
        if node.data in ("extent", "name"):
            name = token_of(node).lower()
            if node.data == "name" and name in (self.ranks if ranks is None else ranks):
                return {name: 1}, 0
            self._symbol(name)
            return {}, Symbol(name)
        sign = "-" if node.data == "minus" else str(token_of(node))
        sides = [self._linear(side, ranks=ranks) for side in trees_of(node)]
        (ours, rest), (theirs, other) = sides if len(sides) == 2 else [({}, 0), *sides]
        if sign in "+-":
            factor = 1 if sign == "+" else -1
            merged = {r: ours.get(r, 0) + factor * theirs.get(r, 0) for r in {**ours, **theirs}}
            return merged, folded(sign, rest, other)
        if sign == "*" and theirs and not ours:
            ours, rest, theirs, other = theirs, other, ours, rest
        if not ours and not theirs:
            return {}, folded(sign, rest, other)
        if theirs or sign == "/" or not isinstance(other, int):
            self._fail(node, "expected whole multiples of ranks, such as 2*y")
        return {r: f * other for r, f in ours.items()}, folded("*", rest, other)

    def _number(self, token: Token) -> int | float:
        text = token.replace("_", "")
        number = math.inf if len(text) > DIGITS else int(text) if text.isdigit() else float(text)
        large = number.bit_length() > LARGEST_BITS if isinstance(number, int) else False
        if large or not math.isfinite(number):
            self._fail(token, "expected a number of at most 1.8e308")
        return number

    def _symbol(self, name: str) -> None:
        if name not in self.ranks:
            self.parameters[name] = None
        else:
            self._form(name)

    # Closing checks

    def _check_inferred_axes(self) -> None:
        for tensor, axes in self.axes.items():
            for number, (_, rank) in enumerate(axes):
                if rank is None:
                    self._fail(
                        self.where[tensor],
                        f"no rank spans axis {number + 1} of {tensor};"
                        f" expected a line `tensor {tensor}[...]` that names one per axis",
                    )
            self.tensors[tensor] = Tensor(tensor, tuple(cast(str, rank) for _, rank in axes))

    def _note_iteration(self, einsum: Einsum, read: set[str]) -> None:
        for index in einsum.output.indices:
            ahead = len(index.terms) == 1 and index.offset > 0
            if ahead and einsum.name in read:
                self._form(index.terms[0][0], iterative=True)

    def _fail(self, node: Branch, message: str) -> NoReturn:
        if isinstance(node, Token):
            line, column = node.line or 1, node.column or 1
        else:
            line, column = node.meta.line, node.meta.column
        raise error_at(self.text, self.name, line, column, message)
