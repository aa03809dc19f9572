"""An engine as one value: libraries by family, fusions, graphs, the host's costs, memory.

An engine runs a model's stages with kernels of its own. A `Fusion` is a rule that puts other stages
in the place of some; an engine is a list of them, applied one after the other, so that whatever a
rule does not know runs as it stands. Beside the kernels an engine needs its host, which schedules
each step and launches what no graph holds.

The host's part is a calibration family of its own ("host:NAME", seconds): with n requests, in a
model of L layers of which X hold experts, whose layers run K kernels,

    a step of decode            step + n request        scheduling, inputs, outputs
    of a pipeline's step        stages (stage + n staged), where an engine has these
    launching, without a graph  K kernel + X mixture    a layer of experts does more than launch; by
                                                        `gathered` products of Triton's yet more
    joining devices' sums       two launches more for each, without a graph
    launching, graph by graph   L piece                 attention stands between the graphs

Under asynchronous scheduling the host works on the next step while the GPU runs: a step of decode
takes whichever is longer, and the `gap` between two graphs; a mixed step, which reads prompts too,
likewise, its kernels launched one by one beyond the largest graph. Prompts on an idle engine wait
for what precedes and follows their kernels (`alone`, at every step that they are cut into), and
launching goes on beside the GPU: it takes whichever is longer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.division import Division
from hwmodel.hardware.calibration import Calibration, Family
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.libraries.library import Library
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part
from hwmodel.text.shown import Shown

Stages: TypeAlias = Mapping[str, Stage]


@dataclass(frozen=True, eq=False)
class Fusion:
    """Stages that others take the place of: at the first that is there, where all `of` are.

    `also` names further stages that it takes up where a model has them. `makes` sees the stages of
    the whole model by name, and says what runs instead. Where a model has several of a name (an MLP
    of some layers, and shared experts of the others) they are taken one after the other.
    """

    name: str
    of: tuple[str, ...]
    makes: Callable[[Stages], Sequence[Stage]]
    also: tuple[str, ...] = ()

    def applied(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """The stages with this fusion in their place; as they were where it does not apply."""
        places: dict[str, list[int]] = {}
        for place, stage in enumerate(stages):
            places.setdefault(stage.name, []).append(place)
        instead: dict[int, Sequence[Stage]] = {}
        for turn in range(min(len(places.get(name, ())) for name in self.of)):
            mine = [
                places[n][turn] for n in (*self.of, *self.also) if len(places.get(n, ())) > turn
            ]
            by_name = {n: stages[each[min(turn, len(each) - 1)]] for n, each in places.items()}
            made = list(self.makes(by_name))
            joints = [stages[place].collective for place in mine if stages[place].collective]
            if joints and not any(stage.collective for stage in made):
                made[-1] = replace(made[-1], collective=joints[-1])
            instead |= dict.fromkeys(mine, ()) | {min(mine): made}
        kept = (instead.get(place, (stage,)) for place, stage in enumerate(stages))
        return tuple(stage for each in kept for stage in each)


def replaced(
    fusions: Sequence[Fusion],
    makes: Mapping[str, Callable[[Stages], Sequence[Stage]]],
    *,
    without: Sequence[str] = (),
) -> tuple[Fusion, ...]:
    """The fusions of another engine, some of which make something else, and `without` others."""
    kept = (each for each in fusions if each.name not in without)
    return tuple(replace(each, makes=makes.get(each.name, each.makes)) for each in kept)


@dataclass(frozen=True)
class Aside:
    """Stages that an engine runs on a stream of its own, beside others of the same layer.

    They are those between the stages called `after` and `before`, and are called "NAME ..." then.
    What they take is hidden as far as the stages `beneath` last, which wait for latencies and leave
    the GPU free; what streams from the DRAM hides nothing.
    """

    name: str
    after: str
    before: str
    beneath: tuple[str, ...]

    def applied(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """The stages, those beside others called so; as they were where there are none."""
        names = [stage.name for stage in stages]
        found = list(stages)
        for end in (place for place, name in enumerate(names) if name == self.before):
            begins = [place for place in range(end) if names[place] == self.after]
            for place in range(begins[-1] + 1, end) if begins else ():
                found[place] = self._named(stages[place])
        return tuple(found)

    def _named(self, stage: Stage) -> Stage:
        called = f"{self.name} {stage.name.removeprefix(f'{self.name} ')}"
        return replace(stage, cascade=replace(stage.cascade, name=called))

    def shown(self, names: Sequence[str], spent_s: Sequence[Amount]) -> tuple[list[bool], Amount]:
        """Which kernels run beside others, and what share of theirs these do not hide."""
        mine = [name.startswith(f"{self.name} ") and name != self.before for name in names]
        if not any(mine):
            return mine, 1.0
        beside: Amount = sum((s for s, own in zip(spent_s, mine, strict=True) if own), start=0.0)
        hiding = sum((s for s, n in zip(spent_s, names, strict=True) if n in self.beneath), 0.0)
        return mine, most((beside - hiding, 0.0)) / beside

    def exposed(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """The parts of a step, of those beside others what these do not hide."""
        spent_s = [part.times * part.time_s for part in parts]
        mine, share = self.shown([part.name for part in parts], spent_s)
        return tuple(
            replace(part, time_s=share * part.time_s, sustained_s=share * part.sustained_s)
            if own
            else part
            for part, own in zip(parts, mine, strict=True)
        )


@dataclass(frozen=True)
class Graphs:
    """Numbers of tokens that a CUDA graph was captured for; steps are padded to the next.

    An engine that is started for more sequences captures further sizes, each `apart` from the one
    before it, up to `most` unless it is told how far (0: none). `last`: its largest batch is
    captured, too, and nothing beyond.
    """

    captured: tuple[int, ...]
    apart: int = 0
    most: int = 0
    last: bool = False

    @property
    def largest(self) -> int:
        """Tokens beyond which a step has no graph."""
        return self.captured[-1]

    def of(self, sequences: int, asked: int | None = None) -> "Graphs":
        """Those of an engine that is started for so many sequences, or `asked` how far."""
        if self.last:
            end = sequences if asked is None else asked
            return replace(self, captured=(*(n for n in self.captured if n < end), max(end, 1)))
        end = min(2 * sequences, self.most or self.largest) if asked is None else asked
        further = range(self.largest + self.apart, end + 1, self.apart) if self.apart else ()
        sizes = tuple(n for n in (*self.captured, *further) if n <= end)
        return replace(self, captured=sizes or self.captured[:1], apart=0)

    def padded(self, tokens: Amount) -> Amount:
        """Tokens that a step of so many runs with."""
        sizes = np.asarray(self.captured, dtype=np.float64)
        given = np.asarray(tokens, dtype=np.float64)
        at = np.minimum(np.searchsorted(sizes, given), len(sizes) - 1)
        found = np.where(given > sizes[-1], given, sizes[at])
        return found if np.ndim(tokens) else int(found)

    def holds(self, tokens: Amount) -> Any:
        """Whether a graph holds a step of so many tokens."""
        return np.asarray(tokens) <= self.largest


@dataclass(frozen=True)
class Memory:
    """How an engine sizes its cache: a share of the memory, less weights and what a step needs.

    `fixed_bytes` are contexts, libraries, workspaces and logits of a device; `held` is how many
    tensors as wide as the widest a step of `most_tokens` holds at once, `token_bytes` what it is
    said to hold of each token besides; `block` counts tokens, as does `longest`, the most that a
    request may have. The share is of the whole memory, which all of
    that has to fit in, or of what weights and steps leave of it (`of_rest`). Layers with a window
    keep the tokens in it, or as many as all others (`whole`).
    """

    share: float
    block: int
    most_tokens: int
    most_sequences: int
    longest: int
    fixed_bytes: float
    held: float
    of_rest: bool = False
    whole: bool = False
    token_bytes: float = 0.0

    @property
    def most_share(self) -> float:
        """Of the memory, that weights, caches and steps may take together."""
        return 1.0 if self.of_rest else self.share


@dataclass(frozen=True, eq=False, repr=False)
class Engine(Shown):
    """All that the package knows of an engine: see the module.

    Attributes:
        version: of the engine that the figures are of.
        kernel: the libraries that run its kernels, as `predict` takes them.
        plain: names of stages that torch's own kernels run.
        aside: stages that run beside others.
        together: names of stages whose kernels of a layer the host launches as one.
        alone: roles of stages that a padded step does not pad.
        host: its costs until they are measured on a device.
        flags: what it was started with.
        reduces: whose small all-reduces it runs (`hwmodel.network.small`); None: NCCL's.
        joins: kernels that the host launches to join what devices made of a stage: a copy to where
            the others read it, and the sum (vLLM 0.22.1's own all-reduce, as profiled).
        narrowed: format of a model that it does not run -> the one that it is loaded in.
        schemes: format of weights, asked for alone -> how it quantises a model then.
        gathers: architecture -> formats of experts' weights whose products are Triton's gathered
            ones there, with a host of their own.
        dispatch: how rows go to experts of devices that attend apart, where nothing is said.
        eager: whether it is torch as a script calls it: memory is taken as tensors come, and what
            keeps no cache, such as an encoder, runs, too.
        brings: whether DeepGEMM multiplies experts in fp8 by blocks whose rows DeepEP brings.
        eighths: architecture -> formats of experts' weights whose rows it narrows to fp8 there.
        started: what of it a device's bytes and a model's division set, where nothing is said.
        core_share: of what its host does to schedule a step, sequences apart, what is left where
            its core has a process of its own; 1 where it was measured so.
    """

    name: str
    title: str
    version: str
    kernel: Mapping[str, str | Library]
    fusions: tuple[Fusion, ...]
    graphs: Graphs
    host: Family
    memory: Memory
    flags: tuple[str, ...] = ()
    reduces: str | None = None
    joins: int = 2
    narrowed: Mapping[str, str] = field(default_factory=dict[str, str])
    schemes: Mapping[str, str] = field(default_factory=dict[str, str])
    gathers: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    eighths: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    dispatch: str | None = None
    eager: bool = False
    brings: bool = False
    core_share: float = 1.0
    started: Callable[[float, Division], Mapping[str, Any]] | None = None
    plain: tuple[str, ...] = ()
    aside: tuple[Aside, ...] = ()
    together: tuple[str, ...] = ()
    alone: tuple[str, ...] = ("attention.scores", "head")

    @property
    def family(self) -> str:
        """Calibration family of its host's costs, whose intervals are those of whole steps."""
        return f"host:{self.name}"

    def costs(self, calibration: Calibration | None) -> Family:
        """The host's costs, as measured on the device or as the engine's priors say."""
        known = {} if calibration is None else calibration.families
        return known.get(self.family, self.host)

    def unmeasured(self, calibration: Calibration | None) -> tuple[str, ...]:
        """A warning where its host was not measured on the device."""
        origin = self.costs(calibration).origin
        if origin == "measured" or calibration is None:
            return ()
        told = calibration.source if origin == "inherited" else "priors, not measurements"
        return (f"uncalibrated: {self.family}: the host's costs are {told}",)

    def but(self, **changes: Any) -> "Engine":
        """The same engine with other fields: fewer captured sizes, another version."""
        known = [each.name for each in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownNameError(f"field of engine {self.name}", name, known)
        if {"graphs", "memory"} & changes.keys():  # which it is told then
            changes = {"started": None, **changes}
        return replace(self, **changes)

    def on(self, machine: Hardware, ways: Division) -> "Engine":
        """The engine as it starts on a device, for a model that is divided so."""
        if self.started is None or machine.kind != "gpu":
            return self
        return self.but(**self.started(float(np.min(machine.memory("dram").capacity_bytes)), ways))

    def reaching(self, sequences: Amount) -> "Engine":
        """The engine as one that is started for so many would capture graphs, if they are more."""
        asked = int(np.max(sequences))
        if not self.graphs.apart or asked <= self.memory.most_sequences:
            return self
        return self.but(graphs=self.graphs.of(asked))

    def stages(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """What it runs for a model's stages."""
        found = tuple(stages)
        for fusion in self.fusions:
            found = fusion.applied(found)
        for aside in self.aside:
            found = aside.applied(found)
        return found
