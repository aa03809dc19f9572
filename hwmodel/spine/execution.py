"""How a model is divided over devices and run: degrees of parallelism, micro-batches, recompute.

An `Execution` is a value; training and inference use the same. Its degrees multiply to `devices`:

    tp   tensor parallel: heads, intermediate sizes and the vocabulary (Megatron, arXiv 1909.08053)
    cp   context parallel: the tokens of a sequence, attention by exchange of keys and values
    dp   data parallel: replicas, with other sequences each
    pp   pipeline parallel: layers in stages; `vp` chunks of layers a stage, where it is interleaved
    ep   expert parallel: the experts of a layer, over devices that are tp, cp and dp elsewhere;
         `etp` of them share an expert (tp, where it is not said)
    sp   sequence parallel: norms and residuals are divided over the tp devices too (arXiv
         2205.05198); a flag, or the number of devices: 1 or tp

Devices are numbered with tp fastest, then cp, dp and pp; in layers of experts etp fastest, then ep,
their replicas (edp) and pp: Megatron's order "tp-cp-ep-dp-pp". The rules of what may be divided by
what in a model are in `shares`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, cast

import numpy as np
from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import amount
from hwmodel.quantity.value import Value

DENSE: Final = ("tp", "cp", "dp", "pp")
"""Axes of the devices in layers without experts, fastest first."""
SPARSE: Final = ("etp", "ep", "edp", "pp")
"""The same devices' axes in layers of experts."""

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
MOST: Final = 2**20
"""Devices at most: groups of ranks are lists."""


def _count(value: Any) -> int:
    """A whole number of 1 or more; no array, since a degree decides which devices there are."""
    try:
        found = amount(value, whole=True, where="")
    except InputError as error:
        raise PydanticCustomError("amount", "{why}", {"why": str(error).lstrip(": ")}) from None
    if not isinstance(found, int):
        raise PydanticCustomError("amount", "expected one number, found an array")
    return found


def _stage(value: Any) -> int:
    return 0 if type(value) is int and value == 0 else _count(value)


Degree = Annotated[int, BeforeValidator(_count)]


class Execution(Value):
    """How a model is divided and run; one device by itself where nothing is said."""

    tp: Degree = 1
    cp: Degree = 1
    dp: Degree = 1
    pp: Degree = 1
    vp: Degree = 1
    ep: Degree = 1
    etp: Degree | None = None
    sp: bool = False
    micro_batch: Degree = 1
    """Sequences that pass through a pipeline together."""
    global_batch: Degree | None = None
    """Sequences of one step, all replicas together; None where the work says it."""
    zero: Annotated[int, BeforeValidator(_stage)] = 0
    """What data-parallel devices divide: 1 the optimiser's state, 2 gradients too, 3 weights too
    (ZeRO, arXiv 1910.02054; 3 is FSDP)."""
    recompute: Literal["none", "selective", "full"] = "none"
    """What the backward pass computes again: nothing, attention's products, whole layers."""
    schedule: str | None = None
    """How a pipeline orders its passes, of `CHUNKS`; None: "1f1b", or "interleaved" with vp."""

    @classmethod
    def of(cls, given: "Execution | Mapping[str, Any] | None", *, where: str = "parallel") -> Self:
        """An execution from a table such as `{"tp": 8, "pp": 2}`; none is one device.

        Raises `InputError`, `UnknownNameError` for names that it does not have.
        """
        if isinstance(given, cls):
            return given
        if given is not None and not isinstance(given, Mapping):
            raise InputError(f'{where}: expected a table such as {{"tp": 8}}, found {shown(given)}')
        table = dict(cast(Mapping[str, Any], given or {}))
        for name in table:
            if name not in cls.model_fields:
                raise UnknownNameError("kind of parallelism", name, cls.model_fields)
        return cls.build(table, where=where)

    @model_validator(mode="before")
    @classmethod
    def _sequence_parallel(cls, data: Any) -> Any:
        """`sp` as a number of devices: 1 is none, tp is all that there can be."""
        if not isinstance(data, dict):
            return data
        table = cast(dict[str, Any], data)
        ways = table.get("sp", False)
        if isinstance(ways, bool):
            return table
        tp = table.get("tp", 1)
        if isinstance(ways, int) and ways in (1, tp):
            return table | {"sp": ways > 1}
        raise _refusal(f"sp: expected true, false, 1 or tp ({shown(tp)}), found {shown(ways)}")

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Rules between the fields."""
        if self.schedule is not None and self.schedule not in CHUNKS:
            raise _refusal(str(UnknownNameError("schedule", self.schedule, CHUNKS)))
        for reason in self._reasons():
            raise _refusal(reason)
        return self

    def _reasons(self) -> list[str]:
        """Why these fields do not go together; empty where they do."""
        found: list[str] = []
        if self.devices > MOST:
            found.append(f"devices: expected {MOST} or fewer, found {self.devices}")
        if self.sp and self.tp == 1:
            found.append("sp: expected tp of 2 or more, over which sp divides; found tp=1")
        if self.zero > 3:
            found.append(f"zero: expected a stage of 0 to 3, found {self.zero}")
        width, shared = self.tp * self.cp * self.dp, self.expert_tp * self.ep
        if self.ep == 1 and self.etp is not None and self.etp != self.tp:
            found.append(f"etp: expected tp ({self.tp}) where ep is 1, found {self.etp}")
        elif self.ep > 1 and width % shared:
            hint = "" if self.etp is not None or width % self.ep else "; etp=1 would do"
            found.append(
                f"ep: expected ep x etp ({self.ep} x {self.expert_tp}) to divide tp x cp x dp"
                f" ({width}), on whose devices the experts are{hint}"
            )
        if self.global_batch is not None and self.global_batch % (self.micro_batch * self.dp):
            found.append(
                f"global_batch: expected a multiple of micro_batch x dp ({self.micro_batch} x"
                f" {self.dp}), found {self.global_batch}"
            )
        return found + self._pipeline_reasons()

    def _pipeline_reasons(self) -> list[str]:
        found: list[str] = []
        name, chunks = self.pipeline, CHUNKS[self.pipeline]
        if self.pp == 1 and self.vp > 1:
            found.append(f"vp: expected pp of 2 or more, whose stages vp divides; found {self.vp}")
        elif chunks == 0 and self.vp == 1 and self.pp > 1:
            found.append(f"schedule: {name} expects vp of 2 or more, found 1")
        elif chunks > 0 and self.pp > 1 and self.vp != chunks:
            found.append(f"schedule: {name} expects vp={chunks}, found {self.vp}")
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
    def devices(self) -> int:
        """Devices in all."""
        return self.tp * self.cp * self.dp * self.pp

    @property
    def expert_tp(self) -> int:
        """Devices that share an expert."""
        return self.tp if self.etp is None else self.etp

    @property
    def expert_dp(self) -> int:
        """Devices that hold the same part of the same experts."""
        return self.tp * self.cp * self.dp // (self.expert_tp * self.ep)

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

    @property
    def given(self) -> dict[str, Any]:
        """What differs from one device by itself, as `of` reads it."""
        return {
            name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if getattr(self, name) != field.default
        }

    def degree(self, axis: str) -> int:
        """Devices along an axis of `DENSE` or `SPARSE`."""
        names = {"etp": "expert_tp", "edp": "expert_dp"}
        return getattr(self, names.get(axis, _axis(axis)))

    def coordinates(self, rank: int) -> dict[str, int]:
        """A device's place along the axes of `DENSE` and `SPARSE`."""
        if not 0 <= rank < self.devices:
            raise InputError(f"rank: expected 0 to {self.devices - 1}, found {rank}")
        found: dict[str, int] = {}
        for axes in (DENSE, SPARSE):
            left = rank
            for axis in axes:
                left, found[axis] = divmod(left, self.degree(axis))
        return found

    def groups(self, *axes: str) -> tuple[tuple[int, ...], ...]:
        """Ranks that differ along these axes alone, group by group, in order of their ranks.

        `groups("tp")` are the tensor-parallel groups, `groups("cp", "dp")` those over which
        gradients are added up, `groups("ep")` those that exchange tokens. Axes are of `DENSE` or of
        `SPARSE`, not mixed.
        """
        for axis in axes:
            _axis(axis)
        order = DENSE if set(axes) <= set(DENSE) else SPARSE
        if not axes or not set(axes) <= set(order):
            raise InputError(
                f"groups: expected axes of {', '.join(DENSE)} or of {', '.join(SPARSE)}, found"
                f" {', '.join(axes) or 'none'}"
            )
        slowest = order[::-1]
        grid = np.arange(self.devices).reshape([self.degree(axis) for axis in slowest])
        inner = [place for place, axis in enumerate(slowest) if axis in axes]
        outer = [place for place, axis in enumerate(slowest) if axis not in axes]
        size = int(np.prod([grid.shape[place] for place in inner]))
        return tuple(
            tuple(group) for group in grid.transpose(outer + inner).reshape(-1, size).tolist()
        )


def _axis(name: str) -> str:
    known = dict.fromkeys((*DENSE, *SPARSE))
    if name not in known:
        raise UnknownNameError("axis of devices", name, known)
    return name


def _refusal(why: str) -> PydanticCustomError:
    return PydanticCustomError("unit", "{why}", {"why": why})
