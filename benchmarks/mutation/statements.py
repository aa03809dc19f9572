"""Which lines belong together: bodies of functions, statements, and where a name is mentioned."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache

from benchmarks.mutation.changes import read
from benchmarks.mutation.checkout import FOLDERS, ROOT, git


@cache
def bodies(file: str) -> set[int]:
    """Lines inside functions: what importing alone does not execute."""
    tree = ast.parse(read(file))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, functions)
        for each in (node.body if isinstance(node.body, list) else [node.body])
        for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)
    }


def statement(file: str, line: int) -> set[int]:
    """Lines of the innermost statement around a line."""
    nodes = ast.walk(ast.parse(read(file)))
    around = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in nodes
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return set(min(around, key=len, default=range(line, line + 1)))


@cache
def sources() -> tuple[str, ...]:
    """Every module, read once."""
    found = tuple(name for name in git("ls-files", *FOLDERS) if name.endswith(".py"))
    return tuple(name for name in found if (ROOT / name).is_file() and read(name))


def mentions(names: Sequence[str]) -> Iterator[tuple[str, set[int]]]:
    """Lines inside functions that mention one of the names, or what modules define by them."""
    wanted, known = set(names), 0
    while len(wanted) > known:
        known = len(wanted)
        wanted |= {new for file in sources() for old, new in defined(file) if old in wanted}
    for file in sources():
        lines = {line for name, line in named(file) if name in wanted}
        if lines:
            yield file, lines & bodies(file)


@cache
def named(file: str) -> tuple[tuple[str, int], ...]:
    """(name, line) of every name and attribute of a file."""
    return tuple(
        (node.id if isinstance(node, ast.Name) else node.attr, node.lineno)
        for node in ast.walk(ast.parse(read(file)))
        if isinstance(node, (ast.Name, ast.Attribute))
    )


@cache
def defined(file: str) -> tuple[tuple[str, str], ...]:
    """(old, new) of every constant that a module computes from a name, or from module.name."""
    found: list[tuple[str, str]] = []
    for node in ast.parse(read(file)).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            new = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            inside = list(ast.walk(node.value))
            old = [n.id for n in inside if isinstance(n, ast.Name)]
            old += [n.attr for n in inside if isinstance(n, ast.Attribute)]
            found += [(one, other) for one in old for other in new]
    return tuple(found)
