"""A step of training as a value: a model, how many sequences of which length, in which formats.

It is no cascade: forward and backward passes of many micro-batches, exchanges and an optimiser run
in time. `hwmodel.systems.training` says what one device does, and when; `parallel` are the fields
of its `Execution`, as words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, get_args

from hwmodel.einsum.division import MOST, Division
from hwmodel.einsum.workloads.adapted import Adapters, adapters_of
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.kept import WIDE, WIDTHS, Kept, checked_formats, named
from hwmodel.einsum.workloads.precision import Precision
from hwmodel.quantity.checked import checked
from hwmodel.quantity.dtypes import ALIASES, bytes_of
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import counted
from hwmodel.text.shown import Shown

BESIDE = " beside adapters"
"""Behind a format of products where weights are frozen."""
PRECISIONS = ("bf16", "fp16", "fp8", "nvfp4")
"""Formats of products; what is no product, and what is kept, is in 16 bits."""
SCALES = ("tensor", "row", "block")
"""What a factor of products in fp8 is for: a tensor, each row (of operands on both sides), or each
block of them (32 elements of a row of mxfp8, 128 by 128 of DeepSeek-V3)."""
WORDS: Mapping[str, tuple[str, str]] = {
    **{"mxfp8": ("fp8", "block"), "fp4": ("nvfp4", "tensor"), "float8": ("fp8", "tensor")},
    **{"amp_bf16": ("bf16", "tensor"), "amp_fp8": ("fp8", "tensor")},
}
"""Words for formats -> format, and what a factor of it is for: fp8 in blocks (OCP Microscaling
Formats 1.0); of 4 bits steps are trained in NVIDIA's alone; Composer's and torchao's names."""
FRAMEWORKS: Mapping[str, Mapping[str, Any]] = {
    "megatron-core": {"zero": 1, "dispatch": "all-to-all", "overlap": "none"},
    "megatron-bridge": {"zero": 1, "dispatch": "once", "overlap": "none", "sp": True},
    "torchtitan": {"zero": 3, "recompute": "selective", "sp": True},
    "fsdp": {"zero": 3},
}
"""Framework -> what it does where a run says nothing, if that is not what is taken anyway:
Megatron-Core with the distributed optimiser and NCCL's all-to-all, as its examples have them;
Megatron-Bridge's recipes of 26.02 to 26.08, most by DeepEP's kernels or HybridEP's; torchtitan's
configs of models, selective by operation; FSDP of torch alone, or Composer's. sp goes with tp."""
MOST_TOKENS = 2**31
"""Of a sequence at most."""
MOST_SEQUENCES = 2**20
"""Of a step at most: passes of micro-batches are events, one by one."""
DIVIDED = (
    *("tp", "sp", "cp", "ep", "etp", "dp", "pp", "vp", "layers", "schedule", "zero", "recompute"),
    *("recompute_layers", "vocabulary", "micro_batch", "global_batch", "dispatch", "overlap"),
)
"""Arguments that say how the step is divided over devices."""


def wide_of(precision: str) -> str:
    """Format of what is no product, beside products of a format."""
    return "fp16" if format_of(precision) == "fp16" else "bf16"


def format_of(said: Any) -> str:
    """A format of products by its own name, in any case; what is none is left as it is.

    >>> format_of("BF16"), format_of("float16"), format_of("MXFP8")
    ('bf16', 'fp16', 'mxfp8')
    """
    name = str(said).lower()
    return ALIASES.get(name, name)


class Learning(Protocol):
    """What a step of training asks of a model."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def network(self) -> Network:
        """Its layers, as blocks."""
        ...

    @property
    def precision(self) -> Precision:
        """Formats of weights and numbers."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was left out of its config."""
        ...


@dataclass(frozen=True, repr=False)
class Training(Shown):
    """One optimiser step of a model.

    Attributes:
        sequence: tokens of each sequence.
        precision: format of products.
        optimizer: of `kept.OPTIMIZERS`.
        gradient_dtype: format in which gradients are summed and exchanged; copy_dtype: of the copy
            that the optimiser changes, "none" where it is the weight; state_dtype: of its states.
        attention: "flash", one fused kernel, or "core", whose scores are kept.
        dropout: whether masks of dropout are drawn, and kept.
        loss: "whole", on logits in fp32, or "fused", by a compiler that reads them in 16 bits.
        adapters: what is trained in the place of weights, which are then frozen (`adapted`).
        frozen: format in which layers' frozen weights are stored; None: in 16 bits.
        sampled: share of a product's rows that are kept, for its weights' gradient.
        async_tp: whether sums of tp run beside parts of their product, under FSDP too (torch's
            asynchronous tensor parallelism).
        scales: of `SCALES`, for products in fp8.
        graphs: whether CUDA graphs replay the passes, so that no kernel waits for its launch; None:
            those of models without experts, whose sizes no router decides.
        mtp: modules that predict further tokens (DeepSeek-V3); None: as many as the config says.
        parallel: fields of an execution.
        devices: in all, where that is said; replicas (dp) are then as many as fit.
        every: steps after which factors of second-order optimisers (kfac, mkor) are made anew.
        forwards, backwards: passes of each sequence in a step: 2 and 2 of sharpness-aware methods
            (SAM), 2 and none of zeroth-order ones (MeZO), which keep nothing for gradients.
        stragglers: replicas that are slow at times, and what is coded against them, in words or a
            table (`hwmodel.spine.stragglers`); failures: those of devices in a run
            (`hwmodel.spine.failures`).
        host: what of it lies in the host of a box, in words or a table (`hwmodel.spine.host`).
    """

    answered_by: ClassVar[str] = "hwmodel.systems.training.step:predicted"

    model: Learning
    sequence: int
    precision: str = "bf16"
    optimizer: str = "adam"
    gradient_dtype: str = WIDE
    copy_dtype: str = WIDE
    state_dtype: str = WIDE
    attention: str = "flash"
    dropout: bool = False
    loss: str = "whole"
    adapters: Adapters | None = None
    frozen: str | None = None
    sampled: float = 1.0
    async_tp: bool = False
    graphs: bool | None = None
    scales: str = "tensor"
    mtp: int | None = None
    parallel: Mapping[str, Any] = field(default_factory=lambda: {}, hash=False)
    devices: int | None = None
    every: int = 1
    forwards: int = 1
    backwards: int = 1
    host: Mapping[str, Any] | str | None = field(default=None, hash=False)
    stragglers: Mapping[str, Any] | str | None = field(default=None, hash=False)
    failures: Mapping[str, Any] | str | None = field(default=None, hash=False)

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.model.name} training"

    @property
    def kept(self) -> Kept:
        """Bytes of each parameter that is trained."""
        return Kept.of(self.optimizer, self.gradient_dtype, self.copy_dtype, self.state_dtype)

    @property
    def wide(self) -> str:
        """Format of what is no product, and of what is kept: in 16 bits."""
        return self.model.precision.activation

    @property
    def format(self) -> str:
        """Format of products, and what asks for other kernels: factors of rows, adapters."""
        rows = " by row" if self.scales == "row" else ""
        return self.precision + rows + (BESIDE if self.adapters else "")

    def but(self, **changes: Any) -> "Training":
        """The same step with other fields; fields of its execution change one by one."""
        how = {name: changes.pop(name) for name in list(changes) if name in DIVIDED}
        for name in changes:
            if name not in self.__dataclass_fields__:
                known = (*self.__dataclass_fields__, *DIVIDED)
                raise UnknownNameError(f"argument of {self.name}", name, known)
        if "adapters" in changes:
            changes["adapters"] = adapters_of(changes["adapters"])
        if "optimizer" in changes:  # with states of its own format, where none is said
            name, state = named(changes["optimizer"], changes.get("state_dtype"))
            changes |= {"optimizer": name, "state_dtype": state}
        checked_formats(**{name: changes[name] for name in WIDTHS if name in changes})
        return replace(self, **changes, parallel={**self.parallel, **how})


def _taken(framework: str | None, said: Mapping[str, Any], network: Network) -> dict[str, Any]:
    """What a framework does where nothing is said."""
    if framework is None:
        return {}
    name = framework.lower()
    if name not in FRAMEWORKS:
        raise InputError(f"training: {UnknownNameError('framework', framework, FRAMEWORKS)}")
    idle = {"sp"} if said.get("tp", 1) == 1 else set[str]()
    if not any(weight.copies > 1 for weight, _ in network.weights):
        idle |= {"dispatch", "overlap"}
    return {word: value for word, value in FRAMEWORKS[name].items() if word not in idle}


@checked
def trained(
    model: Any,
    sequence: int,
    global_batch: int | None = None,
    *,
    micro_batch: int | None = None,
    dtype: str = "bf16",
    optimizer: str = "adam",
    gradient_dtype: str = WIDE,
    copy_dtype: str = WIDE,
    state_dtype: str | None = None,
    attention: str = "flash",
    dropout: bool = False,
    loss: str = "whole",
    adapters: int | str | Mapping[str, Any] | Adapters | None = None,
    frozen: str | None = None,
    sampled: float = 1.0,
    async_tp: bool = False,
    graphs: bool | None = None,
    scales: str = "tensor",
    mtp: int | None = None,
    devices: int | None = None,
    every: int = 1,
    forwards: int = 1,
    backwards: int = 1,
    host: Mapping[str, Any] | str | None = None,
    stragglers: Mapping[str, Any] | str | None = None,
    failures: Mapping[str, Any] | str | None = None,
    framework: str | None = None,
    **how: Any,
) -> Training:
    """A step of training of a model that is read; `how` are fields of its execution, None unsaid.

    Raises `InputError` naming the argument at fault.
    """
    dtype, scales = WORDS.get(format_of(dtype), (format_of(dtype), scales))
    if dtype not in PRECISIONS:
        raise InputError(f"training: {UnknownNameError('dtype', dtype, (*PRECISIONS, *WORDS))}")
    optimizer, state_dtype = named(optimizer, state_dtype)
    kept = {"gradient_dtype": gradient_dtype, "copy_dtype": copy_dtype, "state_dtype": state_dtype}
    kept = {name: format_of(said) for name, said in kept.items()}
    checked_formats(**kept)
    counts: dict[str, tuple[Any, int, int]] = {
        "sequence": (sequence, 1, MOST_TOKENS),
        "global_batch": (global_batch, 1, MOST_SEQUENCES),
        "devices": (devices, 1, MOST),
        "mtp": (mtp, 0, model.network.depth),
        "every": (every, 1, MOST_TOKENS),
        "forwards": (forwards, 1, MOST),
        "backwards": (backwards, 0, MOST),
    }
    for name, (count, least, most) in counts.items():
        if count is not None:
            counted(count, where=f"training: {name}", least=least, most=most)
    if attention not in ("flash", "core"):
        raise InputError(f"training: attention: expected flash or core, found {shown(attention)}")
    if loss not in ("whole", "fused"):
        raise InputError(f"training: loss: expected whole or fused, found {shown(loss)}")
    beside = adapters_of(adapters)
    if frozen is not None and beside is None:
        raise InputError(
            f"training: frozen={shown(frozen)}: expected adapters, beside which weights are frozen"
        )
    if frozen is not None:
        bytes_of(frozen)  # refuses what is no format
    if not 0 < sampled <= 1:
        raise InputError(f"training: sampled: expected a share above 0 to 1, found {sampled}")
    if scales not in SCALES:
        raise InputError(f"training: {UnknownNameError('scales', scales, SCALES)}")
    if backwards > forwards:
        raise InputError(
            "training: backwards: expected no more passes than forward ones, and one or more of"
            f" those; found {backwards} and {forwards}"
        )
    said = {**how, "micro_batch": micro_batch, "global_batch": global_batch}
    for name in said:
        if name not in DIVIDED:
            raise UnknownNameError("argument of training", name, DIVIDED)
    parallel = {name: value for name, value in said.items() if value is not None}
    parallel = _taken(framework, parallel, model.network) | parallel
    again: Any = parallel.get("recompute")
    parallel |= {"recompute": again.lower()} if isinstance(again, str) else {}
    if "recompute_layers" in parallel and again in (None, "none"):
        raise InputError(
            "training: recompute_layers: expected recompute=selective or full beside it, found none"
        )
    for name in parallel.keys() & {"dispatch", "overlap"}:
        words = get_args(Division.model_fields[name].annotation)
        if parallel[name] not in words:
            raise InputError(f"training: {UnknownNameError(name, parallel[name], words)}")
    if parallel.get("ep", 1) != 1:
        parallel = {"etp": 1, **parallel}  # an expert is on one device, where it is not said
    options = {"precision": dtype, "optimizer": optimizer, "attention": attention, "loss": loss}
    options |= kept
    less: dict[str, Any] = {"adapters": beside, "sampled": sampled, "dropout": dropout}
    less |= {"frozen": frozen}
    flags: dict[str, Any] = {"async_tp": async_tp, "graphs": graphs, "scales": scales, "mtp": mtp}
    flags |= {"parallel": parallel, "devices": devices}
    flags |= {"host": host, "forwards": forwards, "backwards": backwards}
    flags |= {"every": every, "stragglers": stragglers, "failures": failures}
    return Training(model, sequence, **options, **less, **flags)
