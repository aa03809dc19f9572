"""How a model is divided over devices and run: degrees of parallelism, micro-batches, recompute.

An `Execution` is a value: a `Division` (`hwmodel.einsum.division`, what blocks of a network need to
know), and how a step of training runs on it. The rules of what may be divided by what in a model
are in `shares`.

    vp   chunks of layers of a pipeline's stage, where it is interleaved
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BeforeValidator, model_validator

from hwmodel.einsum.division import Degree, Division, counted_or_none
from hwmodel.quantity.errors import CoverageError, UnknownNameError
from hwmodel.quantity.printable import shown

CHUNKS: Final = {
    "gpipe": 1,
    "1f1b": 1,
    "interleaved": 0,
    "zb-h1": 1,
    "zb-h2": 1,
    "zb-v": 2,
    "v-half": 2,
    "v-min": 2,
    "dualpipe": 1,
    "dualpipe-v": 2,
}
"""Schedule of a pipeline -> chunks of layers that a stage has; 0: two or more.

GPipe (arXiv 1811.06965); 1F1B and interleaved (2104.04473); zero bubbles (2401.10241); chunks in a
V (2405.15362); DualPipe, whose stages each hold two of them from both ends (2412.19437).
"""
FEWEST_CHUNKS: Final = 2
"""Of a stage where a schedule has several and no number is said (torch's default)."""
ALIASES: Final = {"interleaved1f1b": "interleaved", "zbvzerobubble": "zb-v"}
"""Names of torch.distributed.pipelining, without case and signs -> those of `CHUNKS`."""


class Execution(Division):
    """How a model is divided and run; one device by itself where nothing is said."""

    vp: Degree = 1
    layers: tuple[Annotated[int, BeforeValidator(counted_or_none)], ...] | None = None
    """Layers of each chunk of a pipeline, in the order of the model (Megatron's layouts); None: as
    even as they go."""
    micro_batch: Degree = 1  # pyright: ignore[reportIncompatibleVariableOverride]  # it is frozen
    """Sequences that pass through a pipeline together."""
    global_batch: Degree | None = None
    """Sequences of one step, all replicas together; None where the work says it."""
    zero: Annotated[int, BeforeValidator(counted_or_none)] = 1
    """What data-parallel devices divide: 0 nothing, 1 the optimiser's state (Megatron's distributed
    optimiser, as published steps have it where nothing is said), 2 gradients too, 3 weights too
    (ZeRO, arXiv 1910.02054; 3 is FSDP)."""
    recompute: Literal["none", "selective", "full", "reversible"] = "none"
    """What the backward pass computes again: nothing, attention's products, whole layers from what
    they read, or from what the layer after them made ("reversible": two streams, of which each
    block adds to one a function of the other, so that a layer keeps nothing)."""
    recompute_layers: Degree | None = None
    """The first so many layers of each stage (of each chunk, with vp) are what it is computed again
    of, as Megatron's "block" method has it; None: all are."""
    vocabulary: Literal["ends", "stages"] = "ends"
    """Whether embedding and head are on the first and the last stage of a pipeline, or each stage
    has a part of both, whose passes run beside its own (Vocabulary Parallelism, arXiv
    2411.05288)."""
    dispatch: Literal["all-to-all", "once", "low-latency"] = "once"  # pyright: ignore[reportIncompatibleVariableOverride]
    """As of a `Division`; libraries of training send each row once, where nothing is said."""
    schedule: str | None = None
    """How a pipeline orders its passes, of `CHUNKS`, or torch's name of it, in any case; None:
    "1f1b", or "interleaved" with vp."""

    @model_validator(mode="before")
    @classmethod
    def _scheduled(cls, data: Any) -> Any:
        """The schedule by its own name, and as many chunks as it has where none are said."""
        if not isinstance(data, dict):
            return data
        table = cast(dict[str, Any], data)
        said = table.get("schedule")
        name = _schedule(said) if isinstance(said, str) else said
        if name not in CHUNKS:
            return table
        chunks = CHUNKS[name] or FEWEST_CHUNKS
        several = chunks > 1 and table.get("vp") is None and table.get("pp", 1) != 1
        return table | {"schedule": name} | ({"vp": chunks} if several else {})

    def reasons(self) -> list[str]:
        """Why these fields do not go together; empty where they do."""
        if self.schedule is not None and self.schedule not in CHUNKS:
            return [str(UnknownNameError("schedule", self.schedule, CHUNKS))]
        found = super().reasons()
        if self.zero > 3:
            found.append(f"zero: expected a stage of 0 to 3, found {self.zero}")
        if self.global_batch is not None and self.global_batch % (self.micro_batch * self.dp):
            found.append(
                f"global_batch: expected a multiple of micro_batch x dp ({self.micro_batch} x"
                f" {self.dp}), found {self.global_batch}"
            )
        if self.ends != "divided":
            found.append("ends: expected divided, as steps of training have them; found whole")
        if self.ep > 1 and self.dispatch == "low-latency":
            found.append("dispatch: expected all-to-all or once, found low-latency, which decodes")
        if self.recompute_layers is not None and self.recompute not in ("selective", "full"):
            found.append(
                "recompute_layers: expected recompute=selective or full, of which the first layers"
                f" are; found {self.recompute}"
            )
        return found + self._pipeline_reasons()

    def _turns(self) -> list[str]:
        """None: exchanges of a micro-batch lie beside kernels of the next in any pipeline."""
        return []

    def _pipeline_reasons(self) -> list[str]:
        found: list[str] = []
        name, chunks = self.pipeline, CHUNKS[self.pipeline]
        if self.vocabulary == "stages" and (self.pp == 1 or name != "1f1b"):
            found.append(
                "vocabulary: expected pp of 2 or more and schedule 1f1b, whose stages share it;"
                f" found pp={self.pp} and {name}"
            )
        if self.pp == 1 and self.vp > 1:
            found.append(f"vp: expected pp of 2 or more, whose stages vp divides; found {self.vp}")
        elif chunks == 0 and self.vp == 1 and self.pp > 1:
            found.append(f"schedule: {name} expects vp of 2 or more, found 1")
        elif chunks > 0 and self.pp > 1 and self.vp != chunks:
            found.append(f"schedule: {name} expects vp={chunks}, found {self.vp}")
        if self.layers is not None and len(self.layers) != self.pp * self.vp:
            found.append(
                f"layers: expected one number for each of pp x vp ({self.pp * self.vp}) chunks,"
                f" found {len(self.layers)}"
            )
        count = self.micro_batches
        if count is None or self.pp == 1:
            return found
        if name == "interleaved" and count % self.pp:
            found.append(
                f"schedule: interleaved expects a multiple of pp ({self.pp}) micro-batches, found"
                f" {count}"
            )
        if name.startswith("dualpipe") and count < 2 * self.pp:
            found.append(
                f"schedule: {name} expects 2 pp ({2 * self.pp}) micro-batches or more, found"
                f" {count}"
            )
        if name == "dualpipe" and (self.pp % 2 or count % 2):
            found.append(
                f"schedule: dualpipe expects even numbers of stages and micro-batches, found"
                f" {self.pp} and {count}"
            )
        return found

    @property
    def pipeline(self) -> str:
        """The schedule that a pipeline follows."""
        return self.schedule or ("1f1b" if self.vp == 1 else "interleaved")

    @property
    def micro_batches(self) -> int | None:
        """Micro-batches that each replica's pipeline runs in a step."""
        if self.global_batch is None:
            return None
        return self.global_batch // (self.micro_batch * self.dp)


def _schedule(said: str) -> str:
    """A schedule's name without regard to case and signs; what is none is left as it is."""
    plain = _plain(said)
    names = {_plain(name): name for name in CHUNKS} | ALIASES
    return names.get(plain, said)


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


TRAINS: Final = frozenset(Execution.model_fields) - frozenset(Division.model_fields)
"""Fields of an execution that say nothing of one pass forward."""


def forward(given: "Division | Mapping[str, Any] | None") -> Division:
    """How a pass forward is divided, as `Division.of` reads it.

    Raises `CoverageError` for what is said of training alone.
    """
    if isinstance(given, Execution):
        given = {**given.given, "dispatch": given.dispatch}
    if isinstance(given, Mapping):
        for name, value in given.items():
            if name in TRAINS:
                raise CoverageError(
                    f"parallel: {name}={shown(value)} is of a step of training; a phase of a model"
                    f" is divided by {', '.join(Division.model_fields)}"
                )
    return Division.of(given)
