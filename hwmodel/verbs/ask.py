"""Questions as records: one declaration a verb, from which every way of asking it follows.

A verb is a class in a file of its own, whose fields are what can be asked: their kinds, defaults
and a `Word` for the command line. The function in Python (`in_python`), the command
(`hwmodel.cli`), the line in a file of cases (`{"verb": "bound", ...}`, `hwmodel.verbs.cases`), the
study (`hwmodel.verbs.study`) and `hw.ask("bound", ...)` all read that class; what editors and
type checkers read of the functions, `hwmodel/__init__.pyi`, is written from it too.
`hwmodel.verbs.work` has what verbs on a workload share.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, Signature
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core.core_schema import any_schema

from hwmodel.quantity.checked import checked, named
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.value import expectation

VERBS: Mapping[str, str] = {
    "predict": "hwmodel.verbs.predict:Predict",
    "bound": "hwmodel.verbs.bound:BoundOf",
    "compare": "hwmodel.verbs.compare:Compare",
    "explain": "hwmodel.verbs.explain:Explain",
    "sensitivity": "hwmodel.verbs.sensitivity:Moves",
    "plot": "hwmodel.verbs.plot:Plot",
    "report": "hwmodel.verbs.report:Report",
    "map": "hwmodel.verbs.map:Map",
    "place": "hwmodel.verbs.place:Place",
    "collective": "hwmodel.verbs.collective:Collective",
    "parallelise": "hwmodel.verbs.parallelise:Parallelise",
    "deploy": "hwmodel.verbs.deploy:Deploy",
    "patches": "hwmodel.verbs.patches:Patches",
    "split": "hwmodel.verbs.split:Split",
    "program": "hwmodel.verbs.program:ProgramOf",
    "sweep": "hwmodel.verbs.sweep:SweepOf",
    "models": "hwmodel.verbs.models:Models",
    "devices": "hwmodel.verbs.devices:Devices",
    "kernels": "hwmodel.verbs.kernels:Kernels",
    "energy": "hwmodel.verbs.energy:Energy",
    "validate": "hwmodel.verbs.validate:Validate",
    "profile": "hwmodel.verbs.profile:ProfileOf",
    "attention-units": "hwmodel.verbs.attention_units:AttentionUnits",
    "papers": "hwmodel.verbs.papers:Papers",
    "calibrate": "hwmodel.verbs.calibrate:Calibrate",
    "doctor": "hwmodel.verbs.doctor:Doctor",
}
"""Verb -> module and class of its questions, loaded when first asked."""


@dataclass(frozen=True)
class Word:
    """How a field is said: on the command line, in a line, and in Python."""

    help: str
    kind: Any = None
    """What it reads, where that is not the field's own kind."""
    flag: str = ""
    """Its option, where that is not the field's name."""
    place: bool = False
    """Said by its place, without an option."""
    alone: bool = False
    """A word of the command alone, such as where a picture goes, and no part of the question."""
    words: bool = False
    """Said in words alone: commands and lines have it, of what is another value in Python."""
    value: bool = False
    """A value of Python, such as a function, that no command can say."""
    needed: bool = False
    """Must be given in Python, though words may leave it out."""
    complete: str = ""
    """The list of words that it takes, for shells (`hwmodel.completion`)."""


class _AsIs:
    """Marks a field whose values are taken as they are: what uses them says what is wrong."""

    def __get_pydantic_core_schema__(self, *_: Any) -> Any:
        return any_schema()


AS_IS = _AsIs()


class Question(BaseModel):
    """What is asked of one verb; the first line of a class's text is the help of its command."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    verb: ClassVar[str]
    drawn: ClassVar[str] = "picture"
    """The word of its command that says where a picture goes."""
    writes: ClassVar[bool] = False
    """Whether its answer is a file: no line of a file of cases may ask for that."""
    places: ClassVar[tuple[str, ...]] = ()
    """The fields that Python may give by position, in this order; all others go by name."""
    example: ClassVar[str]
    """A command that answers, shown in its help and run by a test."""

    @classmethod
    def words(cls) -> dict[str, Word]:
        """What the command line says of each field."""
        found = {name: field.metadata for name, field in cls.model_fields.items()}
        return {n: next(m for m in said if isinstance(m, Word)) for n, said in found.items()}

    @classmethod
    def signature(cls) -> Signature:
        """The signature of its function in Python."""
        words = cls.words()
        others = (n for n, word in words.items() if not (word.alone or word.words))
        found: list[Parameter] = []
        for name in (*cls.places, *(n for n in others if n not in cls.places)):
            field = cls.model_fields[name]
            needed = field.is_required() or words[name].needed
            kind = Parameter.POSITIONAL_OR_KEYWORD if name in cls.places else Parameter.KEYWORD_ONLY
            default = Parameter.empty if needed else field.default
            found.append(Parameter(name, kind, default=default, annotation=field.annotation))
        return Signature(found)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """The question that these fields mean; `InputError` names the field at fault."""
        own = [name for name, word in cls.words().items() if not word.alone]
        for name in given:
            if name not in own and cls.model_config.get("extra") != "allow":
                raise InputError(f"{cls.verb}: {UnknownNameError('field', name, own)}")
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(step) for step in first["loc"])
            if first["type"] == "missing":
                told = f"expected the field {place!r}, found none"
            else:
                told = f"{place}: {expectation(first['msg'])}, found {shown(first['input'])}"
            raise InputError(f"{cls.verb}: {told}") from None

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """The question that the words of a command mean."""
        return cls.read(words)

    @classmethod
    def instead(cls, words: Mapping[str, Any]) -> int | None:
        """What the command does in place of one question, and its exit status; mostly nothing."""

    def answer(self) -> Any:
        """The answer, a value that prints itself."""
        raise NotImplementedError

    def valued(self) -> Any:
        """The answer to a question of Python's, whose fields are values and not words."""
        return self.answer()

    def record(self, answer: Any) -> Any:
        """An answer as plain data."""
        from hwmodel.show.json import full_record

        return full_record(answer)

    def text(self, answer: Any) -> str:
        """An answer for people."""
        return str(answer)

    def draw(self, answer: Any, path: str) -> None:
        """Draw an answer into a file."""
        raise NotImplementedError

    def save(self, answer: Any, path: str) -> None:
        """Write an answer's rows into a file; raises `InputError` where it has none."""
        from hwmodel.text.frames import Framed

        if not isinstance(answer, Framed):
            raise InputError(f"--save: {self.verb} answers with no table; --json has every field")
        answer.write(path)

    def status(self, answer: Any) -> int:
        """The exit status of a command with this answer."""
        return 0


def question(verb: str) -> type[Question]:
    """The class of a verb's questions; raises `UnknownNameError`."""
    if not isinstance(verb, str) or verb not in VERBS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UnknownNameError("verb", verb, VERBS)
    module, name = VERBS[verb].split(":")
    return getattr(import_module(module), name)


@named
def ask(verb: str, /, **fields: Any) -> Any:
    """The answer to a question in words: `ask("predict", workload="gemm", M=64, ..., on="h200")`.

    Fields are those of the command line and of files of cases. Raises as the verb does.
    """
    return question(verb).read(fields).answer()


def in_python(kind: type[Question]) -> Callable[..., Any]:
    """The function of a verb, whose arguments are the values of a question's fields."""
    signature = kind.signature()
    parameters = signature.parameters
    places = [n for n, each in parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    needed = {n for n, each in parameters.items() if each.default is each.empty}
    nothing = kind.model_construct()

    def call(*given: Any, **named: Any) -> Any:
        fields = dict(zip(places, given, strict=False)) | named
        known = needed <= fields.keys() <= parameters.keys()
        if not known or len(given) > len(places) or len(fields) < len(given) + len(named):
            fields = signature.bind(*given, **named).arguments  # which says what is wrong
        return nothing.model_copy(update=fields).valued()

    call.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
    call.__module__, call.__doc__ = "hwmodel", kind.__doc__
    call.__name__ = call.__qualname__ = kind.verb
    return checked(call)


def several(on: Any) -> list[Any]:
    """One device's name as a list of one."""
    return cast(list[Any], on) if isinstance(on, list) else [on]


ON = Word("A device's name, or its YAML file.", str, "--on", complete="devices")
MANY = Word("A device; give one or more.", list[str], "--on", complete="devices")
PICTURE = Word("A file for a picture: .png, .svg, .pdf.", alone=True)


def pair(text: str) -> tuple[str, Any]:
    """`M=4096` as a name and a number, a list of them (`stride=2,1`), a truth value or a word."""
    name, sign, value = text.partition("=")
    if not (sign and name and value):
        raise InputError(f"expected a field such as M=4096, found {text!r}")
    from hwmodel.quantity.reading import json_value

    some = value.split(",")
    listed = len(some) > 1 and all(each.isdecimal() for each in some)
    try:
        return name, json_value(f"[{value}]" if listed else value)
    except InputError:
        return name, value
