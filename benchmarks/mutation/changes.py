"""Single changes of a file, found on its syntax tree, and a draw of some of them."""

import ast
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks.mutation.checkout import ROOT

COMPARED = {
    **{ast.Eq: ("==", ("!=",)), ast.NotEq: ("!=", ("==",))},
    **{ast.Lt: ("<", (">=", "<=")), ast.LtE: ("<=", (">", "<"))},
    **{ast.Gt: (">", ("<=", ">=")), ast.GtE: (">=", ("<", ">"))},
    **{ast.In: ("in", ("not in",)), ast.NotIn: ("not in", ("in",))},
    **{ast.Is: ("is", ("is not",)), ast.IsNot: ("is not", ("is",))},
}
COMPUTED = {
    **{ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*")},
    **{ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "*"), ast.Pow: ("**", "*")},
}
EXCHANGED = {"min": "max", "least": "most", "floor": "ceil", "any": "all", "minimum": "maximum"}
EXCHANGED |= {new: old for old, new in EXCHANGED.items()}


@cache
def read(file: str) -> bytes:
    """A file as it was when it was first looked at: the checkout may change during a run."""
    return (ROOT / file).read_bytes()


@dataclass(frozen=True)
class Change:
    """One change: bytes `start` to `end` of a file replaced; `names` are what the line defines."""

    file: str
    line: int
    start: int
    end: int
    new: str
    names: tuple[str, ...] = ()

    def source(self) -> bytes:
        """The changed file."""
        text = read(self.file)
        return text[: self.start] + self.new.encode() + text[self.end :]

    def shown(self) -> str:
        """Where, and the line before and after."""
        old = read(self.file).split(b"\n")[self.line - 1].decode().strip()
        new = self.source().split(b"\n")[self.line - 1].decode().strip()
        return f"{self.file}:{self.line}\n      {old}\n   -> {new}"


class Changes(ast.NodeVisitor):
    """All changes of one file."""

    def __init__(self, file: str):
        self.file, self.found = file, list[Change]()
        self.text = read(file)
        self.starts = [0]
        for line in self.text.split(b"\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.names: tuple[str, ...] = ()
        self.inside = 0
        self.visit(ast.parse(self.text))

    def place(self, node: Any) -> tuple[int, int]:
        """First and last byte of a node."""
        first = self.starts[node.lineno - 1] + node.col_offset
        return first, self.starts[node.end_lineno - 1] + node.end_col_offset

    def add(self, node: Any, start: int, end: int, new: str) -> None:
        """Note a change."""
        self.found.append(Change(self.file, node.lineno, start, end, new, self.names))

    def between(self, left: Any, right: Any, old: str, new: str) -> None:
        """Replace a word between two nodes."""
        start, end = self.place(left)[1], self.place(right)[0]
        at = self.text.find(old.encode(), start, end)
        if at >= 0:
            line = self.text.count(b"\n", 0, at) + 1
            self.found.append(Change(self.file, line, at, at + len(old), new, self.names))

    def words(self, node: Any) -> str:
        """The text of a node."""
        start, end = self.place(node)
        return self.text[start:end].decode()

    def visit_FunctionDef(self, node: Any) -> None:
        self.inside += 1
        for child in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
            self.visit(child)
        self.inside -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for child in node.body:
            self.visit(child)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._defined(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._defined([node.target], node.value)

    def _defined(self, targets: Sequence[ast.AST], value: ast.AST | None) -> None:
        if value is None:
            return
        if not self.inside:
            every = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            self.names = tuple(name.id for name in every)
        if "__all__" not in self.names:
            self.visit(value)
        self.names = ()

    def visit_Raise(self, node: ast.Raise) -> None:
        """Messages are left alone."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Texts are left alone."""

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1:
            old, others = COMPARED[type(node.ops[0])]
            for new in others:
                self.between(node.left, node.comparators[0], old, new)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        texts = (ast.JoinedStr, ast.List, ast.Tuple)
        plain = not any(
            isinstance(side, texts)
            or (isinstance(side, ast.Constant) and isinstance(side.value, str))
            for side in (node.left, node.right)
        )
        if plain and type(node.op) in COMPUTED:
            old, new = COMPUTED[type(node.op)]
            self.between(node.left, node.right, old, new)
            if isinstance(node.op, (ast.Add, ast.Sub)):
                self.add(node, *self.place(node), f"({self.words(node.left)})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        self.between(node.values[0], node.values[1], old, new)
        for value in node.values:
            self.add(node, *self.place(node), f"({self.words(value)})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, (ast.Not, ast.USub)):
            self.add(node, *self.place(node), f"({self.words(node.operand)})")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.add(node.test, *self.place(node.test), f"not ({self.words(node.test)})")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if self.words(node.test) == "TYPE_CHECKING":
            return
        self.add(node.test, *self.place(node.test), f"not ({self.words(node.test)})")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        name = getattr(called, "attr", getattr(called, "id", ""))
        if name in EXCHANGED:
            end = self.place(called)[1]
            self.add(called, end - len(name), end, EXCHANGED[name])
        if name == "where" and len(node.args) == 3:
            first, last = self.place(node.args[1]), self.place(node.args[2])
            between = self.text[first[1] : last[0]].decode()
            arms = f"{self.words(node.args[2])}{between}{self.words(node.args[1])}"
            self.add(node.args[1], first[0], last[1], arms)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            tenth = value * 1.1 or 0.1
            new = tenth if isinstance(value, float) else max(value + 1, round(tenth))
            self.add(node, *self.place(node), repr(new))


def draw(files: Sequence[str], count: int, seed: int) -> list[Change]:
    """Changes of as many lines, each line once."""
    lines: dict[tuple[str, int], list[Change]] = {}
    for file in files:
        for change in Changes(file).found:
            lines.setdefault((file, change.line), []).append(change)
    dice = random.Random(seed)
    return [dice.choice(lines[line]) for line in dice.sample(sorted(lines), min(count, len(lines)))]
