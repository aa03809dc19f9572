"""Writes `hwmodel/__init__.pyi`: what type checkers and editors read of `import hwmodel`.

`hwmodel/completions.json`, what shells complete, is written with it (`tests.completions`).

    python -m tests.face_stub

Names are those of the lazy table in `hwmodel/__init__.py`; the functions of verbs are declared from
the records of `hwmodel.verbs`, so that each signature is written down once, there.
"""

import ast
import collections.abc
import importlib
import inspect
import sys
import types
import typing
from pathlib import Path
from typing import Any

import hwmodel
from hwmodel.quantity.listed import Listed
from hwmodel.verbs.ask import VERBS, Question, question
from tests import completions

STUB = Path(hwmodel.__file__).with_suffix(".pyi")
FACE: dict[str, tuple[str, str]] = vars(hwmodel)["_FACE"]
FUNCTION: Any = collections.abc.Callable
HEAD = '"""Types of the names of `import hwmodel`; written by `python -m tests.face_stub`."""'


class Names:
    """Names that the stub imports, found while annotations are turned into text."""

    def __init__(self) -> None:
        self.imported: set[tuple[str, str]] = set()

    def text(self, annotation: Any, module: str) -> str:
        """An annotation as source; `module` is where a name in quotes is looked up."""
        if annotation is None or annotation is types.NoneType:
            return "None"
        if annotation is Ellipsis:
            return "..."
        if isinstance(annotation, str):
            return self.quoted(annotation, module)
        parts = typing.get_args(annotation)
        alias = getattr(typing.get_origin(annotation) or annotation, "__value__", None)
        if alias is not None:  # as NumPy names kinds of arrays from 2.5 on
            return self.text(alias[parts] if parts else alias, module)
        if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
            return " | ".join(dict.fromkeys(self.text(part, module) for part in parts))
        if typing.get_origin(annotation) is FUNCTION:
            taken, given = parts
            listed = "..." if taken is Ellipsis else f"[{self.listed(taken, module)}]"
            self.imported.add(("collections.abc", "Callable"))
            return f"Callable[{listed}, {self.text(given, module)}]"
        if parts:
            return f"{self.named(typing.get_origin(annotation))}[{self.listed(parts, module)}]"
        return self.named(annotation)

    def listed(self, parts: Any, module: str) -> str:
        """Annotations with commas between them."""
        return ", ".join(self.text(part, module) for part in parts)

    def named(self, kind: Any) -> str:
        """The name of a class, imported."""
        if kind.__module__ != "builtins":
            self.imported.add((kind.__module__.partition("._")[0], kind.__name__))
        return kind.__name__

    def quoted(self, said: str, module: str) -> str:
        """A name in quotes, imported from where its module takes it."""
        own = importlib.import_module(module)
        places = {
            (alias.asname or alias.name): (node.module or "", alias.name)
            for node in ast.walk(ast.parse(inspect.getsource(own)))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in ast.walk(ast.parse(said, mode="eval")):
            if isinstance(node, ast.Name) and not hasattr(__builtins__, node.id):
                self.imported.add(places.get(node.id, (module, node.id)))
        return said


def declared(kind: type[Question], names: Names) -> str:
    """The function of a verb, as a stub says it."""
    said: list[str] = []
    for parameter in kind.signature().parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in said:
            said.append("*")
        text = f"{parameter.name}: {names.text(parameter.annotation, kind.__module__)}"
        if parameter.default is not parameter.empty:
            text += f" = {_quoted(parameter.default)}"
        said.append(text)
    asked: Any = getattr(kind, "of", None) or (
        kind.valued if kind.valued is not Question.valued else kind.answer
    )
    given = names.text(asked.__annotations__["return"], kind.__module__)
    lines = [f"def {kind.verb}(", *(f"    {each}," for each in said), f") -> {given}:"]
    text = inspect.cleandoc(kind.__doc__ or "")
    body = "\n".join(f"    {line}".rstrip() for line in text.split("\n"))
    end = "\n    " if "\n" in text else ""
    lines += [f'    """{body.strip()}{end}"""']
    return "\n".join(lines)


def completing(name: str, value: Listed[Any], kind: type[Question] | None, names: Names) -> str:
    """A list of names as a class with an attribute for each, which editors complete."""
    said = "def __call__(self) -> tuple[str, ...]: ..."
    if kind is not None:
        said = declared(kind, names).replace(f"def {kind.verb}(", "def __call__(\n    self,", 1)
    stands = names.named(type(getattr(value, dir(value)[0])))
    lines = [*said.split("\n"), f"def __getitem__(self, name: str) -> {stands}: ..."]
    lines += [f"{each}: {stands}" for each in dir(value)]
    lines += [f"def __getattr__(self, name: str) -> {stands}: ..."]
    body = "\n".join(f"    {line}".rstrip() for line in lines)
    return f"class _{name.title()}:\n{body}\n\n{name}: _{name.title()}"


def _quoted(value: Any) -> str:
    """A default as source."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


def stub() -> str:
    """The stub of the face, whole."""
    names = Names()
    asked = {
        name: question(name)
        for name, (module, _) in FACE.items()
        if name in VERBS and VERBS[name].split(":")[0] == module
    }
    lists: dict[str, Listed[Any]] = {
        name: getattr(hwmodel, name) for name in FACE if type(getattr(hwmodel, name)) is Listed
    }
    functions = [declared(asked[name], names) for name in sorted(asked) if name not in lists]
    for name, value in sorted(lists.items()):
        functions.append(completing(name, value, asked.get(name), names))
    taken: list[str] = []
    renamed: list[str] = []
    for name, (module, attribute) in sorted(FACE.items()):
        if name in asked or name in lists:
            continue
        where, own = (module, attribute) if attribute else module.rsplit(".", 1)
        if own == name:
            taken.append(f"from {where} import {own} as {name}")
            names.imported.discard((where, own))
        else:
            taken.append(f"from {where} import {own} as _{name}")
            renamed.append(f"{name} = _{name}")
    taken += [f"from {where} import {own}" for where, own in names.imported if own not in FACE]
    listed = "\n".join(f'    "{name}",' for name in sorted(FACE))
    blocks = (HEAD, "\n".join(sorted(taken)), f"__all__ = [\n{listed}\n]")
    more = ("__version__: str", "\n".join(renamed), *functions)
    return "\n\n".join((*blocks, *more)) + "\n"


def main() -> None:
    """Write the stub, or with --print show it."""
    if "--print" in sys.argv:
        print(stub())
    else:
        STUB.write_text(stub())
        completions.FILE.write_text(completions.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
