"""Into how many parts a model and its work are divided: degrees of parallelism, and who has which.

Degrees multiply to `devices`:

    tp   tensor parallel: heads, intermediate sizes and the vocabulary (Megatron, arXiv 1909.08053)
    cp   context parallel: the tokens of a sequence, attention by exchange of keys and values
    dp   data parallel: replicas, with other sequences each
    pp   pipeline parallel: layers in stages
    ep   expert parallel: the experts of a layer, over devices that are tp, cp and dp elsewhere;
         `etp` of them share an expert (where it is not said: as many of the tp as go)
    sp   sequence parallel: norms and residuals are divided over the tp devices too (arXiv
         2205.05198); a flag, or the number of devices: 1 or tp. Of tp 1 it divides nothing, and is
         off, as in Megatron-LM (`sequence_parallel` without tensor parallelism)

Devices are numbered with tp fastest, then cp, dp and pp; in layers of experts etp fastest, then ep,
their replicas (edp) and pp: Megatron's order "tp-cp-ep-dp-pp".
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
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
DEGREES: Final = (*DENSE, "ep", "etp", "sp")
"""The fields that say parts."""
SAID: Final = (*DEGREES, "redundant", "dispatch", "overlap", "attends", "dealt", "ends")
"""Fields of a division that are words of a request by themselves."""

MOST: Final = 2**20
"""Devices at most: groups of ranks are lists."""


def counted_degree(value: Any) -> int:
    """A whole number of 1 or more; no array, since a degree decides which devices there are."""
    try:
        found = amount(value, whole=True, where="")
    except InputError as error:
        raise PydanticCustomError("amount", "{why}", {"why": str(error).lstrip(": ")}) from None
    if not isinstance(found, int):
        raise PydanticCustomError("amount", "expected one number, found an array")
    return found


def _some(value: Any) -> int | None:
    return None if value is None else counted_degree(value)


def counted_or_none(value: Any) -> int:
    """A whole number, or 0 for none."""
    return 0 if type(value) is int and value == 0 else counted_degree(value)


Degree = Annotated[int, BeforeValidator(counted_degree)]


class Division(Value):
    """How a model and its work are divided; one device by itself where nothing is said."""

    tp: Degree = 1
    cp: Degree = 1
    dp: Degree = 1
    pp: Degree = 1
    ep: Degree = 1
    etp: Degree | None = None
    sp: bool = False
    redundant: Annotated[int, BeforeValidator(counted_or_none)] = 0
    """Copies of experts beyond one of each, which share their rows: ep divides all together
    (DeepSeek-V3, arXiv 2412.19437, section 3.4)."""
    micro_batch: Annotated[int | None, BeforeValidator(_some)] = None
    """Sequences that pass through a pipeline together; None: all of a replica."""
    attends: Literal["all-gather", "ring", "token-ring", "ulysses"] = "all-gather"
    """How cp devices come to the keys of a prompt: all of them gathered, blocks passed around a
    ring while others are attended to, queries passed one way and results the other (TokenRing,
    arXiv 2412.20501), or heads exchanged for tokens (Ulysses)."""
    dispatch: Literal["all-to-all", "once", "low-latency", "gather"] = "all-to-all"
    """How rows go to the experts of ep devices: one for each expert chosen, by the library's
    all-to-all; once to each box and to each device with any of them (DeepEP's normal kernels); one
    for each expert, sent by the GPU itself (its kernels of low latency); all to all devices, whose
    sums come back reduced (TensorRT-LLM's where nothing else was built)."""
    overlap: Literal["none", "two-batch"] = "none"
    """Whether a batch is cut in two halves that take turns: one computes while the other's
    exchanges are on the links."""
    ends: Literal["divided", "whole"] = "divided"
    """Whether tp divides embedding and head, or a device has them whole and works on them alone, as
    the master of a small cluster does (TPI-LLM, arXiv 2410.00531)."""
    dealt: Literal["zigzag", "striped", "blocks"] = "zigzag"
    """Which tokens of a prompt each of cp devices has: a piece from each end, every cp-th token, or
    one block in order. Causal masks leave the last device of blocks the most."""

    @classmethod
    def of(cls, given: "Division | Mapping[str, Any] | None", *, where: str = "parallel") -> Self:
        """A division from a table such as `{"tp": 8, "pp": 2}`; none is one device.

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
        """`sp` as a number of devices: 1 is none, tp is all that there can be; of tp 1 none is."""
        if not isinstance(data, dict):
            return data
        table = cast(dict[str, Any], data)
        ways, tp = table.get("sp", False), table.get("tp", 1)
        if isinstance(ways, bool):
            return table | {"sp": False} if ways and tp == 1 else table
        if isinstance(ways, int) and ways in (1, tp):
            return table | {"sp": ways > 1}
        raise refusal(f"sp: expected true, false, 1 or tp ({shown(tp)}), found {shown(ways)}")

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Rules between the fields."""
        for reason in self.reasons():
            raise refusal(reason)
        return self

    def reasons(self) -> list[str]:
        """Why these fields do not go together; empty where they do."""
        found: list[str] = []
        if self.devices > MOST:
            found.append(f"devices: expected {MOST} or fewer, found {self.devices}")
        if self.redundant and self.ep == 1:
            found.append(
                f"redundant: expected ep of 2 or more, found 1 with {self.redundant} copies"
            )
        found += self._turns()
        if self.ep == 1 and self.etp is not None and self.etp != self.tp:
            found.append(f"etp: expected tp ({self.tp}) where ep is 1, found {self.etp}")
        elif self.ep > 1 and self.width % (self.expert_tp * self.ep):
            hint = "" if self.etp is None or self.width % self.ep else "; etp=1 would do"
            found.append(
                f"ep: expected ep x etp ({self.ep} x {self.expert_tp}) to divide tp x cp x dp"
                f" ({self.width}), on whose devices the experts are{hint}"
            )
        return found

    def _turns(self) -> list[str]:
        """Why halves of a batch cannot take turns; of a pass forward stages do so already."""
        if self.overlap == "none" or self.pp == 1:
            return []
        return [f"overlap: expected pp of 1, found {self.pp}; stages overlap by themselves"]

    @property
    def idle(self) -> tuple[str, ...]:
        """What was asked of parts that nothing is divided in, and changes nothing."""
        fields = type(self).model_fields
        degrees = {"attends": "cp", "dealt": "cp", "dispatch": "ep", "ends": "tp"}
        return tuple(
            f"parallel: {name}={getattr(self, name)} changes nothing where {degree} is 1"
            for name, degree in degrees.items()
            if getattr(self, degree) == 1 and getattr(self, name) != fields[name].default
        )

    @property
    def cut(self) -> bool:
        """Whether the batch of a replica passes in several parts."""
        return self.micro_batch is not None or self.overlap != "none"

    @property
    def width(self) -> int:
        """Devices of one stage of the pipeline."""
        return self.tp * self.cp * self.dp

    @property
    def devices(self) -> int:
        """Devices in all."""
        return self.width * self.pp

    @property
    def expert_tp(self) -> int:
        """Devices that share an expert: as many of the tp as ep leaves, where it is not said."""
        if self.etp is not None:
            return self.etp
        ways = (n for n in range(self.tp, 0, -1) if not self.tp % n)
        return next((n for n in ways if not self.width % (n * self.ep)), 1)

    @property
    def expert_dp(self) -> int:
        """Devices that hold the same part of the same experts."""
        return self.width // (self.expert_tp * self.ep)

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
        return tuple(map(tuple, self.grid(*axes).tolist()))

    def grid(self, *axes: str) -> NDArray[np.intp]:
        """The same as an array, `[group, rank]`."""
        for axis in axes:
            _axis(axis)
        order = DENSE if set(axes) <= set(DENSE) else SPARSE
        if not axes or not set(axes) <= set(order):
            raise InputError(
                f"groups: expected axes of {', '.join(DENSE)} or of {', '.join(SPARSE)}, found"
                f" {', '.join(axes) or 'none'}"
            )
        sizes = [self.degree(axis) for axis in order[::-1]]
        grid = np.arange(self.devices, dtype=np.intp).reshape(sizes)
        inner = [place for place, axis in enumerate(order[::-1]) if axis in axes]
        outer = [place for place, axis in enumerate(order[::-1]) if axis not in axes]
        size = int(np.prod([sizes[place] for place in inner]))
        return grid.transpose(outer + inner).reshape(-1, size)


ALONE: Final = Division()
"""One device by itself."""


def spread(layers: int, chunks: int) -> tuple[int, ...]:
    """Layers of each chunk of a pipeline: what is left over goes to those before the last."""
    each, left = divmod(layers, chunks)
    return tuple(each + (chunks - 1 - left <= chunk < chunks - 1) for chunk in range(chunks))


def _axis(name: str) -> str:
    known = dict.fromkeys((*DENSE, *SPARSE))
    if name not in known:
        raise UnknownNameError("axis of devices", name, known)
    return name


def refusal(why: str) -> PydanticCustomError:
    """What a validator raises for fields that do not go together."""
    return PydanticCustomError("unit", "{why}", {"why": why})
