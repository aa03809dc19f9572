"""YAML from outside, read within limits (`hwmodel.quantity.reading`): tables, lists, plain values.

A file is numbers, truth values, texts, lists and tables. Aliases are followed, as long as they lead
into no circle and what they repeat, written out, has at most `NODES` values. Dates are texts; other
tags (`!!binary`, `!!set`), merge keys (`<<`) and keys that stand twice are refused, with their
line. JSON is YAML too.
"""

from functools import cache
from pathlib import Path
from typing import Any, NoReturn, cast

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import cut, shown
from hwmodel.quantity.reading import DEPTH, DIGITS, NODES, name_of, text_of

_TAG = "tag:yaml.org,2002:"
_TEXTS = ("str", "timestamp", "value")
_NUMBERS = ("null", "bool", "int", "float")


def compose(path: str | Path, text: str | None = None) -> Any:
    """The tree of nodes of a file; each node knows its line. Raises `InputError`.

    `text` is what stands there, where it was read already.
    """
    import yaml  # on first use: half of a cold load's time

    where, text = name_of(path), text_of(path) if text is None else text
    try:
        root = cast(Any, yaml).compose(text, Loader=_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(
            f"{where}{line}: no valid YAML: {error.problem or error.context}"
        ) from None
    except yaml.YAMLError as error:  # characters that YAML does not allow, NUL among them
        said = str(error).split("\n")[0]
        raise InputError(f"{where}: no valid YAML: {cut(said, 200)}") from None
    except (RecursionError, ValueError) as error:
        raise InputError(f"{where}: no valid YAML: {cut(str(error), 200)}") from None
    if root is None:
        raise InputError(f"{where}: expected a table, found an empty file")
    _measure(root, where, {}, 0)
    return root


def _measure(node: Any, where: str, known: dict[int, tuple[int, int] | None], depth: int) -> Any:
    """How many values a node stands for, and how deep it is, aliases written out."""
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            _refuse(node, where, "an alias that leads back into itself")
        return found
    if not (is_table(node) or is_list(node)):
        return 1, 0
    if depth >= DEPTH:
        _refuse(node, where, f"lists and tables nested more than {DEPTH} deep")
    known[id(node)] = None
    count, height = 1, 1
    for child in _children(node):
        more, deeper = _measure(child, where, known, depth + 1)
        count, height = count + more, max(height, deeper + 1)
        if count > NODES or height > DEPTH:
            limit = f"more than {NODES:,} values" if count > NODES else f"more than {DEPTH} levels"
            _refuse(node, where, f"{limit}, aliases written out")
    known[id(node)] = (count, height)
    return count, height


def _children(node: Any) -> list[Any]:
    if is_table(node):
        return [part for pair in node.value for part in pair]
    return node.value if is_list(node) else []


def is_table(node: Any) -> bool:
    """Whether a node is a table."""
    return node.id == "mapping"


def is_list(node: Any) -> bool:
    """Whether a node is a list."""
    return node.id == "sequence"


def entries(node: Any, where: str | Path, field: str = "") -> dict[str, Any]:
    """Children of a table by key, keys as they stand; a repeated key is an error."""
    if not is_table(node):
        found = shown(node.value) if isinstance(node.value, str) else "a list"
        _refuse(node, where, found, f"{field or 'the file'}: expected a table")
    result: dict[str, Any] = {}
    for key, child in cast(list[tuple[Any, Any]], node.value):
        if not isinstance(key.value, str):
            _refuse(key, where, "a list or a table", "expected a name or a number as key")
        if key.tag == f"{_TAG}merge":
            _refuse(key, where, "a merge key '<<'", "expected the fields themselves")
        if key.value in result:
            line = key.start_mark.line + 1
            name = shown(key.value)
            raise InputError(f"{name_of(where)}, line {line}: {name} stands here a second time")
        result[key.value] = child
    return result


KIND = "!"
"""Key under which a table that has a tag of its own keeps it."""


def tagged(node: Any, where: str | Path) -> Any:
    """The Python value of a node whose tables may have tags of their own, such as `!Memory`.

    The tag, without its mark, is kept in the table under `KIND`.
    """
    if is_list(node):
        return [tagged(child, where) for child in node.value]
    if not is_table(node):
        return _scalar(node, where)
    read = {name: tagged(child, where) for name, child in entries(node, where).items()}
    own = node.tag.startswith("!") and not node.tag.startswith("!!")
    return {KIND: node.tag[1:], **read} if own else read


def plain(node: Any, where: str | Path) -> Any:
    """The Python value that a node stands for; keys of tables are read as values are."""
    if is_list(node):
        return [plain(child, where) for child in _tagged(node, where, "seq").value]
    if is_table(node):
        names = entries(_tagged(node, where, "map"), where)
        keys = [_scalar(key, where) for key, _ in node.value]
        return dict(zip(keys, (plain(child, where) for child in names.values()), strict=True))
    return _scalar(node, where)


def _tagged(node: Any, where: str | Path, tag: str) -> Any:
    if node.tag != _TAG + tag:
        _refuse(node, where, f"the tag {shown(node.tag)}", "expected a plain value")
    return node


def _scalar(node: Any, where: str | Path) -> Any:
    kind = node.tag.removeprefix(_TAG)
    if kind in _TEXTS:
        return node.value
    if kind not in _NUMBERS:
        _tagged(node, where, "str")
    if kind != "null" and len(node.value) > DIGITS:
        _refuse(node, where, f"one of {len(node.value)} digits", "expected a number of fewer")
    try:
        return getattr(_constructor(), f"construct_yaml_{kind}")(node)
    except (ValueError, KeyError, OverflowError):  # `!!int x`, `!!bool maybe`
        _refuse(node, where, shown(node.value), f"expected a value of the kind {kind}")


def lines(path: str | Path) -> tuple[Any, dict[tuple[str, ...], int]]:
    """The content of a YAML file, and the line of each key of its tables; raises `InputError`.

    Keys are texts as they stand: YAML itself would read the key `on` as a truth value.
    """
    found: dict[tuple[str, ...], int] = {}

    def read(node: Any, place: tuple[str, ...]) -> Any:
        if is_list(node):
            return [read(child, place) for child in node.value]
        if not is_table(node):
            return _scalar(node, path)
        table = entries(node, path, ".".join(place))
        for key, _ in node.value:
            found[(*place, key.value)] = key.start_mark.line + 1
        return {name: read(child, (*place, name)) for name, child in table.items()}

    return read(compose(path), ()), found


def table(path: str | Path, what: str) -> dict[str, Any]:
    """A file's table, as plain values; `InputError` where it holds anything else than `what`."""
    root = compose(path)
    if not is_table(root):
        _refuse(root, path, "a list" if is_list(root) else shown(root.value), f"expected {what}")
    return {str(name): value for name, value in plain(root, path).items()}


def _refuse(node: Any, where: str | Path, found: str, expected: str = "") -> NoReturn:
    place = f"{name_of(where)}, line {node.start_mark.line + 1}"
    raise InputError(f"{place}: {expected or 'expected less'}, found {found}")


@cache
def _constructor() -> Any:
    """What makes numbers of texts; it keeps nothing between two."""
    from yaml.constructor import SafeConstructor

    return SafeConstructor()


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
