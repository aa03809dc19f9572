"""Who imports whom, read from the source: modules of the package, and folders of the house."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOP = ("hwmodel", "einsum", "mappers", "kernels", "validation")


@cache
def modules() -> Mapping[str, Path]:
    """Every module by its dotted name, links not followed."""
    found: dict[str, Path] = {}
    for top in TOP:
        folder = ROOT / top
        links = {path for path in folder.iterdir() if path.is_symlink()}
        prefix = "" if top == "hwmodel" else "hwmodel."
        for path in sorted(folder.rglob("*.py")):
            if not links.intersection(path.parents):
                steps = path.relative_to(ROOT).with_suffix("").parts
                found[prefix + ".".join(steps).removesuffix(".__init__")] = path
    return found


@cache
def imports() -> Mapping[str, frozenset[str]]:
    """Module -> modules that it imports anywhere in it, late and for types alone included."""
    return {name: frozenset(_imported(path)) - {name} for name, path in modules().items()}


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement, those inside of others too; what is in expressions imports nothing."""
    for statement in body:
        yield statement
        for inner in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, inner, []))
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from _statements(part.body)


def _imported(path: Path) -> Iterator[str]:
    for node in _statements(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (
                name if name in modules() else node.module
                for name in inner
                if name in modules() or node.module in modules()
            )


def folder_of(module: str) -> str:
    """The folder of the house that a module stands in; files of the root are their own."""
    steps = module.split(".")
    return steps[1] if len(steps) > 1 else steps[0]


def circles(arrows: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Sets of nodes that reach each other (Tarjan's strongly connected components), two or more."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            circle: list[str] = []
            while not circle or circle[-1] != node:
                circle.append(stack.pop())
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(arrows):
        if node not in order:
            visit(node)
    return sorted(found)
