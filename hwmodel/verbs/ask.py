"""Questions as records: one declaration a verb, from which every way of asking it follows.

A verb is a class in a file of its own, whose fields are what can be asked: their kinds, defaults
and a `Word` for the command line. The command (`hwmodel.cli`), the line in a file of cases
(`{"verb": "bound", ...}`, `hwmodel.verbs.cases`), the study (`hwmodel.verbs.study`) and
`hw.ask("bound", ...)` all read that class. `OfWork` is what verbs on a workload share.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown

VERBS: Mapping[str, str] = {
    "predict": "hwmodel.verbs.predict:Predict",
    "bound": "hwmodel.verbs.bound:BoundOf",
    "compare": "hwmodel.verbs.compare:Compare",
    "explain": "hwmodel.verbs.explain:Explain",
    "sensitivity": "hwmodel.verbs.sensitivity:Moves",
    "plot": "hwmodel.verbs.plot:Plot",
    "map": "hwmodel.verbs.map:Map",
    "place": "hwmodel.verbs.place:Place",
    "collective": "hwmodel.verbs.collective:Collective",
    "patches": "hwmodel.verbs.patches:Patches",
    "split": "hwmodel.verbs.split:Split",
    "sweep": "hwmodel.verbs.sweep:SweepOf",
    "models": "hwmodel.verbs.models:Models",
    "devices": "hwmodel.verbs.devices:Devices",
    "kernels": "hwmodel.verbs.kernels:Kernels",
    "energy": "hwmodel.verbs.energy:Energy",
    "validate": "hwmodel.verbs.validate:Validate",
    "attention-units": "hwmodel.verbs.attention_units:AttentionUnits",
    "papers": "hwmodel.verbs.papers:Papers",
    "calibrate": "hwmodel.verbs.calibrate:Calibrate",
}
"""Verb -> module and class of its questions, loaded when first asked."""


@dataclass(frozen=True)
class Word:
    """How the command line says a field."""

    help: str
    kind: Any = None
    """What it reads, where that is not the field's own kind."""
    flag: str = ""
    """Its option, where that is not the field's name."""
    place: bool = False
    """Said by its place, without an option."""
    alone: bool = False
    """A word of the command alone, such as where a picture goes, and no part of the question."""
    complete: Callable[[str], list[str]] | None = None
    """Words that begin so, for shells."""


class Question(BaseModel):
    """What is asked of one verb; the first line of a class's text is the help of its command."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    verb: ClassVar[str]
    drawn: ClassVar[str] = "picture"
    """The word of its command that says where a picture goes."""
    writes: ClassVar[bool] = False
    """Whether its answer is a file: no line of a file of cases may ask for that."""
    example: ClassVar[str]
    """A command that answers, shown in its help and run by a test."""

    @classmethod
    def words(cls) -> dict[str, Word]:
        """What the command line says of each field."""
        found = {name: field.metadata for name, field in cls.model_fields.items()}
        return {n: next(m for m in said if isinstance(m, Word)) for n, said in found.items()}

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
                why = first["msg"].removeprefix("Input ")
                told = f"{place}: {why.replace('should be', 'expected')}, found"
                told = f"{told} {shown(first['input'])}"
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

    def status(self, answer: Any) -> int:
        """The exit status of a command with this answer."""
        return 0


def question(verb: str) -> type[Question]:
    """The class of a verb's questions; raises `UnknownNameError`."""
    if not isinstance(verb, str) or verb not in VERBS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UnknownNameError("verb", verb, VERBS)
    module, name = VERBS[verb].split(":")
    return getattr(import_module(module), name)


def ask(verb: str, /, **fields: Any) -> Any:
    """The answer to a question in words: `ask("predict", workload="gemm", M=64, ..., on="h200")`.

    Fields are those of the command line and of files of cases. Raises as the verb does.
    """
    return question(verb).read(fields).answer()


def several(on: Any) -> list[Any]:
    """One device's name as a list of one."""
    return cast(list[Any], on) if isinstance(on, list) else [on]


def devices_begun(begun: str) -> list[str]:
    """Names of shipped devices, for shells that complete words."""
    from hwmodel.hardware.catalogue import devices

    return [name for name in devices() if name.startswith(begun)]


def works_begun(begun: str) -> list[str]:
    """Names of workloads and of shipped models."""
    from hwmodel.einsum.workloads.config import shipped_configs
    from hwmodel.verbs.request import workloads

    return [name for name in (*workloads(), *shipped_configs()) if name.startswith(begun)]


ON = Word("A device's name, or its YAML file.", str, "--on", complete=devices_begun)
MANY = Word("A device; give one or more.", list[str], "--on", complete=devices_begun)
PICTURE = Word("A file for a picture: .png, .svg, .pdf.", alone=True)
KERNEL = Word("Library whose kernels run (default torch); or attention=cudnn.", str)


class OfWork(Question):
    """A question about a workload on a device, whose own fields (M, heads, ...) may be given too.

    What describes the work is checked where it is read (`hwmodel.verbs.request`).
    """

    model_config = ConfigDict(extra="allow")

    what: Annotated[
        str | None,
        Word(
            "A model config (path or shipped name), or a workload such as gemm.",
            place=True,
            alone=True,
            complete=works_begun,
        ),
    ] = None
    fields: Annotated[
        list[str] | None,
        Word("Fields of a workload: M=4096 N=4096 dtype=fp8.", place=True, alone=True),
    ] = None
    on: Annotated[Any, ON] = None
    phase: Annotated[Any, Word("decode or prefill, of a model.", str)] = None
    batch: Annotated[Any, Word("Sequences at a time, of a model (default 1).", int)] = None
    context: Annotated[Any, Word("Keys that a new token attends to (decode).", int)] = None
    prompt: Annotated[Any, Word("Tokens of each prompt (prefill).", int)] = None
    dtype: Annotated[Any, Word("Number format: bf16, fp8, ...; of Einsums A=int4,*=int8.", str)] = (
        None
    )
    weight_dtype: Annotated[Any, Word("Format of this part alone.", str)] = None
    kv_dtype: Annotated[Any, Word("Format of this part alone.", str)] = None
    activation_dtype: Annotated[Any, Word("Format of this part alone.", str)] = None
    kernel: Annotated[Any, KERNEL] = None
    tp: Annotated[Any, Word("Devices that divide a model (tensor parallel).", int)] = None
    ignore_keys: Annotated[
        Any, Word("A key of the config to pass over.", list[str], "--ignore-key")
    ] = None
    einsum: Annotated[Any, Word('Such as "Z[m,n] = A[m,k] * B[k,n]".', list[str])] = None
    cascade: Annotated[Any, Word("A file of Einsums, or a workload's name.", str)] = None
    ranks: Annotated[Any, Word("Sizes: m=1024,n=1024,k=1024.", str)] = None
    memory: Annotated[
        Any, Word("Other capacities: buffer=128KiB, or inputs(A,B)=64KiB.", list[str])
    ] = None

    @classmethod
    def own(cls) -> frozenset[str]:
        """Fields of the verb, which say nothing of the work or the device."""
        return frozenset(cls.model_fields) - frozenset(OfWork.model_fields)

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """The question of a command's words; a name that is no workload is a model's."""
        own = {name: value for name, value in words.items() if name in cls.own()}
        work = {name: value for name, value in words.items() if name not in own}
        return cls.read({**cls.work_said(work), **own})

    @classmethod
    def work_said(cls, words: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a request that the words of a command mean."""
        from hwmodel.verbs.request import PHASES, fields_of, workloads

        rest = dict(words)
        what, pairs = rest.pop("what", None), rest.pop("fields", [])
        loose = "einsum" in rest or "cascade" in rest
        if what is None and not loose:
            known = ", ".join(workloads())
            raise InputError(f"expected a model config or one of {known}, found none")
        if what is not None and loose:
            raise InputError(f"expected --einsum or --cascade alone, found {what!r} beside it")
        if "ranks" in rest and not loose:
            if what not in workloads() or "ranks" not in fields_of(what):
                raise InputError("--ranks: expected --einsum or --cascade with it, found neither")
            rest |= [pair(f"ranks={rest['ranks']}")]
        given: dict[str, Any] = {}
        for name, value in map(pair, pairs):
            if name in given:
                raise InputError(f"{name}: given twice, as {given[name]!r} and as {value!r}")
            given[name] = value
        for name in given:
            if name in rest:
                raise InputError(f"{name}: given twice, as an option and as a field")
        if "on" not in rest and not cls.has_default_machine(rest):
            raise InputError("expected --on with a device's name or file, found none")
        if what is None:
            return {**given, **rest}
        if what in workloads():
            return {"workload": what, **given, **rest}
        if what.endswith(".tflite"):
            return {"workload": "cnn", "network": what, **given, **rest}
        _check_model(what, workloads())
        phases = [phase for phase, size in PHASES.items() if size in {**given, **rest}]
        if not phases:
            raise InputError(f"{what}: expected --context (to decode) or --prompt (to prefill)")
        phase = {"phase": phases[0]}
        return {"workload": "llm", "config": what, "batch": 1, **phase, **given, **rest}

    @classmethod
    def has_default_machine(cls, words: Mapping[str, Any]) -> bool:
        """Whether these words need no device: bounds of Einsums have memories of their own."""
        return False

    def asked(self) -> dict[str, Any]:
        """The fields that describe the work and the device."""
        said = {name: getattr(self, name) for name in OfWork.model_fields}
        given = {name: value for name, value in said.items() if value is not None}
        return {**(self.model_extra or {}), **given}

    def over(self, fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Any], Any]:
        """A function of sizes and a device to the answer, for the rest of a request."""
        raise NotImplementedError

    def answer(self) -> Any:
        """The answer for one workload on one device."""
        from hwmodel.verbs.request import machine_for, read

        request = read(self.asked())
        return self.over(request.fixed)(request.sizes, machine_for(request.fixed))


def _check_model(what: str, workloads: tuple[str, ...]) -> None:
    """A bare word must be a shipped config, since it is no workload; a path is read later."""
    from hwmodel.einsum.workloads.config import shipped_configs

    known = (*shipped_configs(), *workloads)
    is_path = os.sep in what or what.endswith(".json") or os.path.exists(what)
    if not is_path and what.lower() not in known:
        raise UnknownNameError("model config or workload", what, known)


def pair(text: str) -> tuple[str, Any]:
    """`M=4096` as a name and a number, a truth value or a word."""
    name, sign, value = text.partition("=")
    if not (sign and name and value):
        raise InputError(f"expected a field such as M=4096, found {text!r}")
    from hwmodel.quantity.reading import json_value

    try:
        return name, json_value(value)
    except InputError:
        return name, value
