"""What pages of the reference leave open, written from what it is of.

A line such as `<!-- record: hwmodel.hardware.hardware:Hardware -->` in a page stands for a text
that is written when the site is built, so that it says what the package does that day. `WRITERS`
names what can be asked for.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import hwmodel
from docs.writing.records import described, grid
from hwmodel.einsum.operators import ALIASES, OPERATORS
from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.quantity.errors import HwmodelError
from hwmodel.show.fields import ALL, PART
from hwmodel.verbs.ask import VERBS, question
from hwmodel.verbs.papers import SIGNS, counted, systems
from hwmodel.verbs.request import fields_of
from hwmodel.verbs.work import OfWork

OPEN = re.compile(r"^<!-- (\w+)(?:: ([\w.:-]+))? -->$", re.MULTILINE)
LINE = 76
"""Characters of a line of code."""

COMMAND = "command"
"""A mark of README, whose command is run."""


def written(text: str) -> str:
    """A page with what it leaves open written; what nobody writes is an error."""

    def write(found: re.Match[str]) -> str:
        what, of = found.groups()
        if what == COMMAND:
            return ""
        return WRITERS[what](of) if of else WRITERS[what]()

    return OPEN.sub(write, text)


def record(path: str) -> str:
    """A record, and those that it holds, as files say them."""
    module, name = path.split(":")
    return described(getattr(import_module(module), name))


def operators() -> str:
    """Operators of the notation: what each takes, whether it reduces, what it counts."""
    also = {name: [a for a, of in ALIASES.items() if of == name] for name in OPERATORS}
    rows = [
        (
            ", ".join(f"`{n}`" for n in (op.symbol, name, *also[name]) if n),
            str(op.arity),
            "" if op.reduce is None else "yes",
            ", ".join(f"{n} {kind}" if n > 1 else kind for kind, n in op.kinds) or "none",
        )
        for name, op in OPERATORS.items()
    ]
    return grid(("operator", "operands", "reduces", "operations of one"), rows)


def grammar() -> str:
    """The grammar that the notation is read by."""
    text = Path(inspect.getfile(import_module("hwmodel.einsum.notation"))).with_name("cascade.lark")
    return f"```text\n{text.read_text(encoding='utf-8')}```"


def workloads() -> str:
    """Every workload: its own fields, as lines of a file of cases have them."""
    blocks: list[str] = []
    for name, function in WORKLOADS.items():
        signature = inspect.signature(function).parameters
        rows: list[tuple[str, ...]] = []
        for field, said in fields_of(name).items():
            if field in signature:
                default = signature[field].default
                plain = default if default not in (None, inspect.Parameter.empty, ()) else ""
                kind = "a size" if said.size else _annotated(signature[field].annotation)
                rows.append((f"`{field}`", kind, "needed" if said.needed else _code(plain)))
        blocks += [f"### {name}", text_of(function), grid(("field", "value", "default"), rows)]
    return "\n\n".join(blocks)


def _code(value: Any) -> str:
    """A value as a line of a file has it; nothing as nothing."""
    words = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{words}`" if words else ""


def _annotated(annotation: Any) -> str:
    """An annotation in words."""
    words = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}
    text = inspect.formatannotation(annotation)
    parts = [part.strip() for part in re.sub(r"\[.*\]", "", text).split("|")]
    found = dict.fromkeys(words[part] for part in parts if part in words)
    return " or ".join(found) or "a table"


def commands() -> str:
    """Every verb: what it answers, how it is said in a shell and in Python, an example."""
    shared = OfWork.words()
    blocks: list[str] = []
    for verb in VERBS:
        kind = question(verb)
        words = kind.words()
        shares = issubclass(kind, OfWork)
        own = {n: word for n, word in words.items() if not (shares and n in shared)}
        blocks += [f"## {verb}", text_of(kind), f"```text\nhwmodel {kind.example}\n```"]
        blocks += ["Words of [a workload](#a-workload), and:"] if shares and own else []
        blocks += [_words(own)] if own else []
    head = "## A workload\n\nVerbs that ask about a workload on a device share these words."
    return "\n\n".join([head, _words(shared), *blocks])


def _words(words: dict[str, Any]) -> str:
    """The words of a question: of a shell, of lines and Python, and what each says."""
    rows: list[tuple[str, ...]] = []
    for name, word in words.items():
        option = word.flag or f"--{name.replace('_', '-')}"
        shell = "" if word.value else f"`{name.upper() if word.place else option}`"
        rows.append((shell, "" if word.alone else f"`{name}`", word.help))
    return grid(("shell", "line, Python", "what it says"), rows)


def python() -> str:
    """The names of `import hwmodel`: functions, values and errors, with their texts."""
    names = {name: getattr(hwmodel, name) for name in hwmodel.__all__}
    classes = {n: v for n, v in names.items() if inspect.isclass(v)}
    functions = {n: v for n, v in names.items() if callable(v) and n not in classes}
    errors = {n: v for n, v in classes.items() if issubclass(v, HwmodelError)}
    modules = {n: v for n, v in names.items() if isinstance(v, ModuleType)}
    blocks = ["## Functions", *(part for n, v in functions.items() for part in _function(n, v))]
    for name, module in modules.items():
        blocks += [f"## {name}", text_of(module)]
        own = (v for v in vars(module).values() if inspect.isfunction(v))
        public = [v for v in own if not v.__name__.startswith("_")]
        shown = [v for v in public if v.__module__.startswith("hwmodel.show")] or WORKLOADS.values()
        for each in shown:
            blocks += _function(f"{name}.{each.__name__}", each)
    values = {name: value for name, value in classes.items() if name not in errors}
    blocks += ["## Values", *(part for n, v in values.items() for part in _class(n, v))]
    rows = [(f"`{n}`", str(v.exit_status), text_of(v)) for n, v in errors.items()]
    return "\n\n".join([*blocks, "## Errors", grid(("error", "exit status", "when"), rows)])


def _function(name: str, function: Any) -> Iterator[str]:
    yield f"### hw.{name}"
    yield f"```python\n{_signature(f'hw.{name}', function)}\n```"
    yield text_of(function)


def _class(name: str, kind: type) -> Iterator[str]:
    """A class: its text, and its public properties and methods by their first lines."""
    yield f"### hw.{name}"
    yield text_of(kind)
    rows: list[tuple[str, ...]] = []
    for member, value in tuple(vars(kind).items()):  # looking at it may add to it
        of = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if member.startswith("_") or not (inspect.isfunction(of) and of.__doc__):
            continue
        called = member if isinstance(value, property) else f"{member}({_arguments(of)})"
        rows.append((f"`{called}`", of.__doc__.strip().splitlines()[0]))
    if rows:
        yield grid(("member", "what"), rows)


def _arguments(function: Any) -> str:
    """Names of arguments, without their kinds."""
    found = inspect.signature(function).parameters.values()
    return ", ".join(_said(each) for each in found if each.name not in ("self", "cls"))


def _said(each: inspect.Parameter, default: str = "") -> str:
    """An argument as a call has it."""
    stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
    return f"{stars}{each.name}{default}"


def _signature(name: str, function: Any) -> str:
    """A call with defaults, on as many lines as it needs."""
    said: list[str] = []
    for each in inspect.signature(function).parameters.values():
        if each.kind is each.KEYWORD_ONLY and "*" not in said:
            said.append("*")
        said.append(_said(each, "" if each.default is each.empty else f"={each.default!r}"))
    line = f"{name}({', '.join(said)})"
    if len(line) <= LINE:
        return line
    told = textwrap.fill(", ".join(said), LINE, initial_indent="    ", subsequent_indent="    ")
    return f"{name}(\n{told}\n)"


def answers() -> str:
    """Fields of answers, by the class of the answer."""
    words = {float: "a number", str: "a text", bool: "true or false"}
    words |= {list: "a list", dict: "a table"}
    blocks: list[str] = []
    for kind, fields in (*((k.__name__, f) for k, f in ALL.items()), ("A kernel of it", PART)):
        rows = [(f"`{field.name}`", words[field.kind]) for field in fields]
        blocks += [f"## {kind}", grid(("field", "value"), rows)]
    return "\n\n".join(blocks)


def claims() -> str:
    """Published figures and ours, system by system."""
    blocks: list[str] = []
    of = {system: hwmodel.papers(system) for system in systems()}
    every = [claim for found in of.values() for claim in found]
    missed = [
        (c.system, c.quantity, f"{c.published:.6g}", f"{c.ours:.6g}", f"{c.error:+.1%}", c.cause)
        for c in every
        if not c.holds
    ]
    heads = ("system", "figure", "published", "ours", "error", "likely cause")
    blocks += [f"{counted(every)}.", "## What is missed", grid(heads, missed)]
    for system, found in of.items():
        rows: list[tuple[str, ...]] = []
        for c in found:
            figures = f"{SIGNS[c.published_as]}{c.published:.6g}", f"{c.ours:.6g}"
            apart = (
                f"{c.error:+.1%}",
                f"{c.tolerance:.1%}",
                ("yes" if c.holds else "no") + ", identity" * c.identity,
            )
            rows.append((c.system, c.quantity, *figures, *apart))
        heads = ("system", "figure", "published", "ours", "error", "within", "holds")
        sources = dict.fromkeys(f"- {c.system}: {c.source}" for c in found)
        kept = f"{counted(found)}. Sources:"
        listed = "\n".join(sources)
        blocks += [f"## {system.replace('_', ' ')}", grid(heads, rows), kept, listed]
    return "\n\n".join(blocks)


def text_of(thing: Any) -> str:
    """A docstring as Markdown: examples as code, attributes as a list."""
    text = inspect.cleandoc(thing.__doc__ or "")
    text = re.sub(r"<(?=\w+>)", "&lt;", text)
    text = re.sub(r"^>>> (?:.+\n?)+", _example, text, flags=re.MULTILINE)
    return re.sub(r"^Attributes:\n((?:    .*\n?|\n)+)", _attributes, text, flags=re.MULTILINE)


def _example(found: re.Match[str]) -> str:
    return f"```pycon\n{found[0].rstrip()}\n```\n"


def _attributes(found: re.Match[str]) -> str:
    """Attributes of a class as a list, each on one line."""
    items = re.split(r"^    (?=\S)", found[1], flags=re.MULTILINE)[1:]
    lines = (re.match(r"([\w, ]+): (.*)", " ".join(item.split())) for item in items)
    return "\n" + "\n".join(f"- `{line[1]}`: {line[2]}" for line in lines if line) + "\n"


WRITERS: dict[str, Callable[..., str]] = {
    "record": record,
    "operators": operators,
    "grammar": grammar,
    "workloads": workloads,
    "commands": commands,
    "python": python,
    "answers": answers,
    "claims": claims,
}
"""Word of a page -> what writes in its place."""
