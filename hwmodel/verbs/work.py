"""What verbs on a workload share: how the work, the device and the kernel are said.

In Python the work is a value, `workload`; in words it is a workload's name with fields of its own,
a model with a phase, or Einsums (`hwmodel.verbs.request` reads them).
"""

import os
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import ConfigDict

from hwmodel.einsum.division import SAID
from hwmodel.einsum.workloads.phases import Parallel
from hwmodel.einsum.workloads.serving_stream import Serving
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.machines.driver import Machine, Network, Workload
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import pairs
from hwmodel.verbs.ask import AS_IS, Question, Word, pair

FILES = {(".tflite", ".onnx"): ("cnn", "network"), (".pt2",): ("exported", "program")}
"""Endings of files that are works of their own -> workload, and its field for the path."""
ENDINGS = tuple(ending for endings in FILES for ending in endings)

WORK = Word("The work; in a line, a workload's name.", value=True, needed=True)
ENGINE = Word("What runs a model: vllm (default torch, unfused).", str, complete="engines")
KERNEL = Word(
    "Library whose kernels run (default torch); or attention=cudnn.", str, complete="kernels"
)
STATE = Word("State of the L2: cold, or warm where work is repeated.", str, complete="states")
ON_IT = Word("A device's name, or its YAML file.", str, "--on", needed=True, complete="devices")
PARALLEL = Word("How a model is divided over devices: tp=8,pp=2.", str)
TOPOLOGY = Word(
    "What joins devices: dgx-h100:nodes=2, or a file (default: a switch).",
    str,
    complete="topologies",
)


def _said(text: str, kind: Any, flag: str = "", complete: str = "") -> Word:
    """A field that describes the work in words."""
    return Word(text, kind, flag, words=True, complete=complete)


PHASE = _said("decode, prefill or mixed, of a model.", str, "", "phases")
DTYPE = _said("Number format: bf16, fp8; of Einsums A=int4,*=int8.", str, "", "formats")
POLICY = _said(
    "Which tokens a cache keeps: keyformer, razor-attention:full=0.2, ...", str, "", "policies"
)
MODIFIER = _said(
    "What layers leave out: pbs-attn:density=0.3, flux-attention, ...", str, "", "modifiers"
)
FORMAT = _said("Format of this part alone.", str, "", "formats")
QUANTISE = _said("What a tool makes of a model: fp8, w8a8, w4a16, nvfp4, ...", str)
IGNORE_KEYS = _said("A key of the config to pass over.", list[str], "--ignore-key")
AS = _said("Read a config as one of this model type.", str, "--as", "architectures")
PART = _said("Part of a config that has several: text, vision.", str)


class OfWork(Question):
    """A question about a workload on a device, whose own fields (M, heads, ...) may be given too.

    What describes the work is checked where it is read (`hwmodel.verbs.request`).
    """

    model_config = ConfigDict(extra="allow")
    places: ClassVar[tuple[str, ...]] = ("workload", "on")

    workload: Annotated[Workload | Training | Serving, AS_IS, WORK] = None  # pyright: ignore[reportAssignmentType]
    what: Annotated[
        str | None,
        Word(
            "A model config (path or shipped name), or a workload such as gemm.",
            place=True,
            alone=True,
            complete="works",
        ),
    ] = None
    fields: Annotated[
        list[str] | None,
        Word(
            "Fields of a workload: M=4096 N=4096 dtype=fp8.",
            place=True,
            alone=True,
            complete="fields",
        ),
    ] = None
    on: Annotated[Machine, AS_IS, ON_IT] = None  # pyright: ignore[reportAssignmentType]
    kernel: Annotated[Kernel, AS_IS, KERNEL] = None
    parallel: Annotated[Parallel, AS_IS, PARALLEL] = None
    topology: Annotated[Network, AS_IS, TOPOLOGY] = None
    phase: Annotated[
        Any, _said("decode, prefill or mixed, of a model.", str, complete="phases")
    ] = None
    batch: Annotated[Any, _said("Sequences at a time, of a model (default 1).", int)] = None
    context: Annotated[Any, _said("Keys that a new token attends to (decode).", int)] = None
    prompt: Annotated[Any, _said("Tokens of each prompt (prefill).", int)] = None
    cached: Annotated[Any, _said("Of them, tokens in the cache already.", int)] = None
    images: Annotated[Any, _said("Images in each prompt (prefill).", int)] = None
    image_tokens: Annotated[Any, _said("Tokens of each image, among the prompt's.", int)] = None
    image_size: Annotated[Any, _said("Or its height and width: 1024x768.", str)] = None
    draft: Annotated[
        Any,
        _said("What drafts tokens of a step: model=llama-3.2-1b,tokens=4,acceptance=0.7.", str),
    ] = None
    prompts: Annotated[Any, _said("Prompts read beside what decodes (mixed).", int)] = None
    dtype: Annotated[
        Any, _said("Number format: bf16, fp8; of Einsums A=int4,*=int8.", str, complete="formats")
    ] = None
    weight_dtype: Annotated[Any, FORMAT] = None
    kv_dtype: Annotated[Any, FORMAT] = None
    activation_dtype: Annotated[Any, FORMAT] = None
    quantise: Annotated[Any, QUANTISE] = None
    cache_policy: Annotated[Any, POLICY] = None
    modifier: Annotated[Any, MODIFIER] = None
    tp: Annotated[Any, _said("Devices that divide a model's tensors.", int)] = None
    pp: Annotated[Any, _said("Stages of layers, in a pipeline of devices.", int)] = None
    dp: Annotated[Any, _said("Replicas, which share the batch.", int)] = None
    ep: Annotated[Any, _said("Devices that divide the experts of a layer.", int)] = None
    etp: Annotated[Any, _said("Devices that share an expert (default as tp goes).", int)] = None
    cp: Annotated[Any, _said("Devices that divide the tokens of a sequence.", int)] = None
    sp: Annotated[Any, _said("Norms divided over the tp devices too: 1 or tp.", int)] = None
    redundant: Annotated[Any, _said("Copies of experts beyond one of each (ep).", int)] = None
    dispatch: Annotated[
        Any, _said("How rows go to experts: all-to-all, once, low-latency, gather.", str)
    ] = None
    overlap: Annotated[
        Any, _said("two-batch: half of a batch computes while the other's rows are sent.", str)
    ] = None
    attends: Annotated[
        Any, _said("How cp devices come to keys: all-gather, ring, token-ring, ulysses.", str)
    ] = None
    dealt: Annotated[Any, _said("Their tokens of a prompt: zigzag, striped, blocks.", str)] = None
    ends: Annotated[Any, _said("Embedding and head over tp: divided, whole.", str)] = None
    ignore_keys: Annotated[Any, IGNORE_KEYS] = None
    as_: Annotated[Any, AS] = None
    part: Annotated[Any, PART] = None
    einsum: Annotated[Any, _said('Such as "Z[m,n] = A[m,k] * B[k,n]".', list[str])] = None
    cascade: Annotated[Any, _said("A file of Einsums, or a workload's name.", str)] = None
    ranks: Annotated[Any, _said("Sizes: m=1024,n=1024,k=1024.", str)] = None
    memory: Annotated[
        Any, _said("Other capacities: buffer=128KiB, or inputs(A,B)=64KiB.", list[str])
    ] = None

    @property
    def ways(self) -> Parallel:
        """How a model is divided, said in one word or by its degrees."""
        degrees = {n: each for n in SAID if (each := getattr(self, n)) is not None}
        return degrees or self.parallel

    @classmethod
    def own(cls) -> frozenset[str]:
        """Fields of the verb, which say nothing of the work or the device."""
        return frozenset(cls.model_fields) - frozenset(OfWork.model_fields)

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """The question of a command's words; a name that is no workload is a model's."""
        own = {name: value for name, value in words.items() if name in cls.own()}
        work = {name: value for name, value in words.items() if name not in own}
        return cls.read({**cls.work_said(work, own), **own})

    @classmethod
    def work_said(cls, words: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a request that the words of a command mean; others stand `beside` them."""
        from hwmodel.einsum.workloads.asked import phase_of
        from hwmodel.verbs.request import fields_of, workloads

        rest = dict(words)
        what, own = rest.pop("what", None), rest.pop("fields", [])
        if "parallel" in rest:
            rest["parallel"] = pairs(rest["parallel"], "--parallel")
        loose = "einsum" in rest or "cascade" in rest
        if what is None and not loose:
            raise InputError(
                "expected a model config (`hwmodel models` lists those that come along) or a"
                f" workload such as gemm, found none; such as: hwmodel {cls.example}"
            )
        if what is not None and loose:
            raise InputError(f"expected --einsum or --cascade alone, found {what!r} beside it")
        if "ranks" in rest and not loose:
            if what not in workloads() or "ranks" not in fields_of(what):
                raise InputError("--ranks: expected --einsum or --cascade with it, found neither")
            rest |= [pair(f"ranks={rest['ranks']}")]
        given: dict[str, Any] = {}
        for name, value in map(pair, own):
            if name in given:
                raise InputError(f"{name}: given twice, as {given[name]!r} and as {value!r}")
            given[name] = value
        for name in given:
            if name in rest:
                raise InputError(f"{name}: given twice, as an option and as a field")
        if what is not None and what not in workloads() and not what.endswith(ENDINGS):
            _check_model(what, workloads())
        if "on" not in rest and not cls.has_default_machine(rest):
            raise InputError("expected --on with a device's name or file, found none")
        _check_names({**rest, **beside})
        if what is None:
            return {**given, **rest}
        if what in workloads():
            return {"workload": what, **given, **rest}
        for endings, made in FILES.items():
            if what.endswith(endings):
                workload, field = made
                return {"workload": workload, field: what, **given, **rest}
        phase = phase_of({**given, **rest})
        if phase is None:
            raise InputError(f"{what}: expected --context (to decode) or --prompt (to prefill)")
        return {"workload": "llm", "config": what, "batch": 1, "phase": phase, **given, **rest}

    @classmethod
    def has_default_machine(cls, words: Mapping[str, Any]) -> bool:
        """Whether these words need no device: bounds of Einsums have memories of their own."""
        return False

    def of(self, workload: Any, on: Any, kernel: Any) -> Any:
        """The answer for a workload, a device and a kernel that are given as values."""
        raise NotImplementedError

    def valued(self) -> Any:
        """The answer to a question of values."""
        return self.of(self.workload, self.on, self.kernel)

    def asked(self) -> dict[str, Any]:
        """The fields that describe the work and the device."""
        said = {name: getattr(self, name) for name in OfWork.model_fields}
        given = {name: value for name, value in said.items() if value is not None}
        return {**(self.model_extra or {}), **given}

    def over(self, fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Any], Any]:
        """A function of sizes and a device to the answer, for the rest of a request."""
        from hwmodel.verbs.request import builder

        build, kernel = builder(fixed), fixed.get("kernel")
        return lambda sizes, on: self.of(build(sizes), on, kernel)

    @property
    def has_values(self) -> bool:
        """Whether the work is given as a value, and not in words."""
        given: Any = self.workload
        return given is not None and not isinstance(given, str)

    def check_values(self) -> None:
        """Refuse words that say more of a workload which is given as a value."""
        words = self.words()
        more = [name for name in self.model_fields_set if name not in words or words[name].words]
        own = (name for name in more if name not in self.own())
        for name in own:
            raise InputError(
                f"{self.verb}: {name}: expected no words about the work beside a workload as a"
                f" value, found {shown(getattr(self, name))}; change the value"
            )

    def answer(self) -> Any:
        """The answer for one workload on one device."""
        if self.has_values:
            self.check_values()
            return self.valued()
        from hwmodel.verbs.request import machine_for, read

        request = read(self.asked())
        return self.over(request.fixed)(request.sizes, machine_for(request.fixed))


class OfRun(OfWork):
    """A question about a workload that an engine may run, or that may run again and again."""

    engine: Annotated[str | Engine | None, AS_IS, ENGINE] = None
    l2: Annotated[str | None, STATE] = None

    @property
    def run(self) -> dict[str, Any]:
        """How the work is divided and joined, and what runs it, as `predict` takes them."""
        how = {"parallel": self.ways, "topology": self.topology}
        return {**how, "engine": self.engine, "l2": self.l2}

    def asked(self) -> dict[str, Any]:
        """The fields that describe the work, the device, the engine and the L2's state."""
        given = {} if self.engine is None else {"engine": self.engine}
        state = {} if self.l2 is None else {"l2": self.l2}
        return {**super().asked(), **given, **state}

    def over(self, fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Any], Any]:
        """A function of sizes and a device to the answer, for the rest of a request."""
        from hwmodel.verbs.request import without_run

        return super().over(without_run(fixed))


def _check_names(words: Mapping[str, Any]) -> None:
    """Refuses a device, an engine or a kernel that there is none of, before what else is amiss."""
    from hwmodel.hardware.catalogue import device

    if isinstance(words.get("on"), str):
        device(words["on"])
    if "engine" in words:
        from hwmodel.machines.gpu.engines.shipped import engine

        engine(words["engine"])


def _check_model(what: str, workloads: tuple[str, ...]) -> None:
    """A bare word must be a shipped config, since it is no workload; a path is read later."""
    from hwmodel.einsum.workloads.config import shipped_configs

    known = (*shipped_configs(), *workloads)
    is_path = os.sep in what or what.endswith(".json") or os.path.exists(what)
    if not is_path and what.lower() not in known:
        raise UnknownNameError("model config or workload", what, known)
