"""What of a step of training lies in its host: in the host's memory, or on its drives.

    optimizer     the copy in fp32 and what the optimiser keeps; gradients go down as they are made,
                  and the host updates (ZeRO-Offload, arXiv 2101.06840)
    weights       each layer's weights come up before its passes (ZeRO-Infinity, arXiv 2104.07857);
                  of a zeroth-order step they go back as they were changed (ZO2, arXiv 2503.12668)
    activations   what a layer keeps goes down after its forward pass, and comes up before its
                  backward pass

What a host's memory holds beside that depends on how buffers are made. As DeepSpeed makes them
(deepspeed/runtime/swap_tensor/partitioned_param_swapper.py, optimizer_utils.py and
runtime/zero/offload_config.py at microsoft/DeepSpeed 033df2d and 0510cb4), a drive's weights come
into one pinned allocation of `buffers` places, each as large as the largest tensor, states into
four pinned buffers of a `group` of parameters, gradients lie in a flat pinned buffer, and torch
rounds each pinned allocation up to a power of two (ATen/core/CachingHostAllocator.h). A check for
values out of range makes copies of all gradients (runtime/zero/stage3.py, `_has_inf_or_nan`).
"""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeAlias, get_args

from hwmodel.hardware.hardware import Count, Size
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.value import Value

Held: TypeAlias = Literal["optimizer", "weights", "activations"]
HELD: tuple[Held, ...] = get_args(Held)


class Host(Value):
    """What lies in the host of a box of devices, over which link, and how it makes its buffers."""

    holds: tuple[Held, ...] = ("optimizer",)
    rate_bytes_per_s: Size
    """Of each device's link to the host, in each direction."""
    cpu: str = "xeon-8480 * 2"
    """The processors of a box: devices of the catalogue, or a file of one."""
    drive_bytes_per_s: Size | None = None
    """Of a box's drives together, on which optimiser and weights then lie; None: in memory."""
    window: Count = 2
    """Layers that have room on a device at once."""
    buffers: Count = 5
    """Places for tensors that come from a drive (DeepSpeed's `buffer_count`)."""
    group: Count = 1_000_000_000
    """Parameters whose states stand in memory at once (DeepSpeed's `sub_group_size`)."""
    pool: Literal["largest", "each"] = "largest"
    """Places as large as the largest tensor, or as each of the largest tensors in turn."""
    pinned: Literal["powers", "exact"] = "powers"
    """Whether pinned allocations are rounded up to powers of two."""
    check: Literal["copied", "none"] = "copied"
    """Whether a check for values out of range copies gradients; "none": it is fused or not made."""

    @classmethod
    def of(cls, given: "Host | Mapping[str, Any] | str", *, where: str = "training: host") -> Self:
        """From a table such as `{"holds": "optimizer+weights", "rate": "25 GB/s"}`, or its words.

        Raises `InputError`, `UnknownNameError` for names that it does not have.
        """
        if isinstance(given, cls):
            return given
        table = pairs(given, where)
        known = {*cls.model_fields, "rate", "drive"}
        for name in table:
            if name not in known:
                raise InputError(f"{where}: {UnknownNameError('field', name, sorted(known))}")
        if "rate" not in table and "rate_bytes_per_s" not in table:
            raise InputError(
                f"{where}: expected the rate of each device's link, such as rate=25GB/s, found none"
            )
        held = table.get("holds", "optimizer")
        words: Any = held.split("+") if isinstance(held, str) else held
        for word in words:
            if word not in HELD:
                raise InputError(f"{where}: {UnknownNameError('part', word, HELD)}")
        return cls.build({**table, "holds": tuple(words)}, where=where)

    @property
    def optimizer(self) -> bool:
        """Whether the host updates."""
        return "optimizer" in self.holds

    @property
    def weights(self) -> bool:
        """Whether weights come up layer by layer."""
        return "weights" in self.holds

    @property
    def activations(self) -> bool:
        """Whether what layers keep goes down."""
        return "activations" in self.holds
