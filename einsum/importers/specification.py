"""Specifications of Timeloop (version 0.4) and AccelForge: their YAML files as one table.

Files are read one after another and put together by their top-level keys (architecture, problem,
mapping; arch, workload), as both tools do. A table with a tag, such as `!Component`, keeps it under
`yaml.KIND`. Files that are templates are rendered first by the library `jinja2` (extra `timeloop`),
with the variables that are given; what they include is not followed. Numbers may be written as
arithmetic (`12 * 16`, `8 * 38.4e9`, `inf`).
"""

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import text_of
from hwmodel.quantity.yaml import compose, is_table, tagged

TEMPLATE = ("{{", "{%")
PASSED = ("mapper", "components", "compound_components", "variables", "globals", "version")
"""Keys of Timeloop that say how to search, or how Accelergy prices: neither is asked here."""

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


_HIGHEST_POWER = 64
MOST = 2**53
"""The largest size of anything."""


def read(paths: Sequence[str | Path], variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All files as one table; raises `InputError` that names file and line."""
    found: dict[str, Any] = {}
    for path in paths:
        root = compose(path, _rendered(path, variables or {}))
        if not is_table(root):
            raise InputError(f"{path}: expected a table with architecture, problem or mapping")
        for key, value in tagged(root, path).items():
            if key in found and key not in PASSED:
                raise InputError(f"{path}: {key} stands in an earlier file, too")
            found[key] = value
    return found


def number(value: Any, where: str, names: Mapping[str, Any] | None = None) -> float:
    """A number, or arithmetic of numbers and of names that are known; raises `InputError`.

    >>> number("12 * 16", "size")
    192.0
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InputError(f"{where}: expected a number, found {shown(value)}")
    if not isinstance(value, str):
        return float(value)
    try:
        tree = ast.parse(value.strip(), mode="eval")
        found = _value(tree.body, names or {})
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError):
        found = None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or math.isnan(found):
        raise InputError(
            f"{where}: expected a number or arithmetic of numbers, found {shown(value)}"
        )
    return float(found)


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Arithmetic, names, and one value or another; `ValueError` for all else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name):
        known: Mapping[str, Any] = {"inf": math.inf, **names}
        if node.id in known:
            return known[node.id]
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        whole = f"{node.value.id}.{node.attr}"
        if whole in names:
            return names[whole]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, names)
    if isinstance(node, ast.IfExp):
        return _value(node.body if _value(node.test, names) else node.orelse, names)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, names), _value(node.right, names)
        if isinstance(node.op, ast.Pow) and abs(right) > _HIGHEST_POWER:
            raise ValueError
        return _OPERATORS[type(node.op)](left, right)
    raise ValueError


def _rendered(path: str | Path, variables: Mapping[str, Any]) -> str:
    text = text_of(path)
    if not any(mark in text for mark in TEMPLATE):
        return text
    try:
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import SandboxedEnvironment
    except ModuleNotFoundError:
        raise CoverageError(
            f"{path}: reading templates needs the library jinja2; pip install 'hwmodel[timeloop]'"
        ) from None
    try:
        return SandboxedEnvironment(undefined=StrictUndefined).from_string(text).render(**variables)
    except (TemplateError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: no template that can be rendered: {str(error)[:200]}; variables are given as"
            " --ranks NAME=NUMBER, and what includes other files is to be rendered before"
        ) from None


def whole(value: Any, where: str, least: int = 1) -> int:
    """A whole number, or arithmetic that makes one; raises `InputError`."""
    found = number(value, where)
    if not (math.isfinite(found) and found == int(found) and least <= found <= MOST):
        raise InputError(
            f"{where}: expected a whole number of {least} or more, found {shown(value)}"
        )
    return int(found)


def texts(value: Any, where: str) -> list[str]:
    """A list of plain values as texts, none where nothing is said; raises `InputError`."""
    given: list[Any] = cast(list[Any], value) if isinstance(value, list) else [value]
    given = [] if value is None else given
    for each in given:
        if isinstance(each, (list, Mapping)) or each is None:
            raise InputError(f"{where}: expected plain values, found {shown(cast(object, each))}")
    return [str(each) for each in given]


def tables(value: Any, where: str) -> list[dict[str, Any]]:
    """A list of tables, none where nothing is said; raises `InputError`."""
    if value is not None and not isinstance(value, list):
        raise InputError(f"{where}: expected a list of tables, found {shown(value)}")
    return [plain_table(each, where, needed=True) for each in cast(list[Any], value or [])]


def plain_table(value: Any, where: str, *, needed: bool = False) -> dict[str, Any]:
    """A table, empty where nothing is said and none is needed; raises `InputError`."""
    if value is None and not needed:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a table, found {shown(value)}")
    return {str(name): each for name, each in cast(Mapping[Any, Any], value).items()}


def child(table: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """A table within a table; raises `InputError`."""
    found = table.get(key)
    if not isinstance(found, Mapping):
        raise InputError(f"{where}: {key}: expected a table, found {shown(found)}")
    return dict(cast(Mapping[str, Any], found))


def listed(table: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """A list within a table; raises `InputError`."""
    found = table.get(key)
    if not isinstance(found, list):
        raise InputError(f"{where}: {key}: expected a list, found {shown(found)}")
    return cast(list[Any], found)
