"""A step of training as a workload: a model, how many sequences of which length, in which formats.

It is no cascade: forward and backward passes of many micro-batches, exchanges and an optimiser run
in time. `hwmodel.systems.training` says what one device does, and when; `parallel` are the fields
of its `Execution`, as words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.text.shown import Shown

OPTIMIZERS: Mapping[str, int] = {"adam": 2, "adamw": 2, "sgd": 0, "momentum": 1, "muon": 1}
"""Optimiser -> numbers that it keeps of each parameter, beside a copy in fp32."""
PRECISIONS = ("bf16", "fp16", "fp8", "nvfp4")
"""Formats of products; what is no product, and what is kept, is in 16 bits."""
DIVIDED = (
    *("tp", "sp", "cp", "ep", "etp", "dp", "pp", "vp", "schedule", "zero", "recompute"),
    *("micro_batch", "global_batch"),
)
"""Arguments that say how the step is divided over devices."""


@dataclass(frozen=True, repr=False)
class Training(Shown):
    """One optimiser step of a model.

    Attributes:
        sequence: tokens of each sequence.
        precision: format of products.
        optimizer: of `OPTIMIZERS`.
        attention: "flash", one fused kernel, or "core", whose scores are kept.
        dropout: whether masks of dropout are drawn, and kept.
        parallel: fields of an execution.
        devices: in all, where that is said; replicas (dp) are then as many as fit.
    """

    answered_by: ClassVar[str] = "hwmodel.systems.training.step:predicted"

    model: Model
    sequence: int
    precision: str = "bf16"
    optimizer: str = "adam"
    attention: str = "flash"
    dropout: bool = False
    parallel: Mapping[str, Any] = field(default_factory=lambda: {}, hash=False)
    devices: int | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.model.name} training"

    def but(self, **changes: Any) -> "Training":
        """The same step with other fields; fields of its execution change one by one."""
        how = {name: changes.pop(name) for name in list(changes) if name in DIVIDED}
        for name in changes:
            if name not in self.__dataclass_fields__:
                known = (*self.__dataclass_fields__, *DIVIDED)
                raise UnknownNameError(f"argument of {self.name}", name, known)
        return replace(self, **changes, parallel={**self.parallel, **how})


@checked
def training(
    config: Model | Mapping[str, Any] | str | Path,
    sequence: int,
    global_batch: int,
    micro_batch: int = 1,
    devices: int | None = None,
    tp: int | None = None,
    sp: int | bool | None = None,
    cp: int | None = None,
    ep: int | None = None,
    etp: int | None = None,
    dp: int | None = None,
    pp: int | None = None,
    vp: int | None = None,
    schedule: str | None = None,
    zero: int | None = None,
    recompute: str | None = None,
    dtype: str = "bf16",
    optimizer: str = "adam",
    attention: str = "flash",
    dropout: bool = False,
) -> Training:
    """One step of training: `global_batch` sequences of `sequence` tokens, Adam and bf16 products.

    `tp` to `recompute`, and `micro_batch`, are those of an execution (`hwmodel.spine.execution`);
    with `devices`, dp is what is left of them. `zero` is ZeRO's stage (3: weights are divided too,
    as FSDP does), `recompute` what the backward pass computes again: none, selective (attention's
    scores) or full.
    Raises `InputError` naming the argument at fault.
    """
    if dtype not in PRECISIONS:
        raise InputError(f"training: {UnknownNameError('dtype', dtype, PRECISIONS)}")
    if optimizer not in OPTIMIZERS:
        raise InputError(f"training: {UnknownNameError('optimizer', optimizer, OPTIMIZERS)}")
    if attention not in ("flash", "core"):
        raise InputError(f"training: attention: expected flash or core, found {shown(attention)}")
    if sequence < 1:
        raise InputError(f"training: sequence: expected 1 or more, found {sequence}")
    given = {
        **{"tp": tp, "sp": sp, "cp": cp, "ep": ep, "etp": etp, "dp": dp, "pp": pp, "vp": vp},
        **{"schedule": schedule, "zero": zero, "recompute": recompute},
        **{"micro_batch": micro_batch, "global_batch": global_batch},
    }
    how = {name: value for name, value in given.items() if value is not None}
    if how.get("ep", 1) != 1:
        how = {"etp": 1, **how}  # an expert is on one device, where it is not said
    read = model(config, dtype="bf16")
    options = {"precision": dtype, "optimizer": optimizer, "attention": attention}
    return Training(read, sequence, **options, dropout=dropout, parallel=how, devices=devices)
