"""Where what a model keeps lies, if not in its device's memory, and how it streams there.

Weights of layers, or caches, lie in a host's memory or on a drive. Each layer's are brought before
it runs, while those before it run, into room for a few layers; of the rest of the network (both
ends) all stays. What a layer changed goes back meanwhile, the link having a direction for each.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from hwmodel.hardware.hardware import Count, Size
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.value import Value


class Offload(Value):
    """What streams over which link, how many layers stand in memory, how often each then runs."""

    what: Literal["weights", "cache", "both"] = "weights"
    rate_bytes_per_s: Size | None = None
    """Of the link in each direction; None: that of the machine's storage."""
    window: Count = 2
    """Layers that have room in memory at once, the one that runs included."""
    passes: Count = 1
    """Runs of a layer each time that it is there: 2 forward passes of a zeroth-order step (MeZO, as
    in ZO2, arXiv 2503.12668)."""
    back: bool = False
    """Whether weights are written back, since the passes change them."""
    slices: Count = 1
    """Devices of which each brings a part of a layer's weights, over a link of its own; they then
    exchange the parts over the link between devices (DistZO2)."""

    @classmethod
    def of(cls, given: "Offload | Mapping[str, Any]", *, where: str = "offload") -> Self:
        """From a table such as `{"rate": "24 GB/s", "window": 3}`.

        Raises `InputError`, `UnknownNameError` for names that it does not have.
        """
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            told = 'expected a table such as {"rate": "24 GB/s"}'
            raise InputError(f"{where}: {told}, found {shown(given)}")
        table = dict(given)
        known = {*cls.model_fields, "rate"}
        for name in table:
            if name not in known:
                raise UnknownNameError("way to offload", name, sorted(known))
        return cls.build(table, where=where)

    @property
    def weights(self) -> bool:
        """Whether weights stream."""
        return self.what in ("weights", "both")

    @property
    def cache(self) -> bool:
        """Whether caches do."""
        return self.what in ("cache", "both")
