"""Does a model fit: weights, KV cache and activations against the memory of a device.

    total = weights + batch (context * kv_bytes_per_token + activation_bytes_per_sequence)

has to fit into what the reserve leaves of the capacity. All sizes are totals over the devices of
`hardware`, between which they are taken to spread evenly. The reserve stands for what a serving
system cannot use: contexts of driver and libraries, captured graphs, workspaces, fragmentation;
its default is the tenth that vLLM leaves free (`gpu_memory_utilization=0.9`). Sizes in bytes.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount, amount, show

RESERVE_FRACTION = 0.1


@dataclass(frozen=True, eq=False)
class MemoryFit:
    """What lives in memory, and how it compares with what there is.

    `total_bytes` includes the reserve. `largest_batch` is the most sequences that fit at this
    context: 0 where the weights alone do not.
    """

    weights_bytes: Amount
    kv_cache_bytes: Amount
    activations_bytes: Amount
    reserve_bytes: Amount
    total_bytes: Amount
    capacity_bytes: Amount
    short_by_bytes: Amount
    largest_batch: Amount
    fits: bool | np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    kv_capacity_tokens: Amount | None = None
    """Tokens that an engine's cache holds; None where none runs the model."""

    def __str__(self) -> str:
        """One line: how much is free, or by how much it does not fit."""
        if isinstance(self.total_bytes, np.ndarray) or isinstance(self.capacity_bytes, np.ndarray):
            return f"memory fit at {np.size(self.fits)} points, of which {np.sum(self.fits)} fit"
        capacity = show(float(self.capacity_bytes), "bytes")
        if self.fits:
            free = show(float(self.capacity_bytes - self.total_bytes), "bytes")
            return f"fits: {free} of {capacity} free; largest batch {self.largest_batch}"
        short = show(float(self.short_by_bytes), "bytes")
        return f"does not fit: {short} short of {capacity}; largest batch {self.largest_batch}"


def fit(
    *,
    weights_bytes: Amount,
    kv_bytes_per_token: Amount,
    activation_bytes_per_sequence: Amount,
    batch: Amount,
    context: Amount,
    hardware: Hardware,
    reserve_fraction: float = RESERVE_FRACTION,
) -> MemoryFit:
    """Compare a model's needs with a device's memory; scalars exactly, arrays point by point.

    A cache or activations of 0 bytes are admitted, not both: then no batch would be too large.
    Raises `InputError` for sizes that are negative or not finite, and for a batch or a context that
    is not whole.
    """
    weights = amount(weights_bytes, where="weights_bytes", zero=True)
    cache = amount(kv_bytes_per_token, where="kv_bytes_per_token", zero=True)
    activation = amount(
        activation_bytes_per_sequence, where="activation_bytes_per_sequence", zero=True
    )
    batch = amount(batch, where="batch", whole=True)
    context = amount(context, where="context", whole=True)
    if not 0 <= reserve_fraction < 1:
        raise InputError(
            f"reserve_fraction: expected 0 or more and below 1, found {reserve_fraction}"
        )
    per_sequence = context * cache + activation
    if not np.all(np.asarray(per_sequence) > 0):
        raise InputError("a sequence needs no memory: expected kv or activation bytes above 0")
    capacity: Amount = hardware.memory("dram").capacity_bytes * hardware.devices
    if np.ndim(capacity) == 0:
        capacity = int(capacity)
    reserve = _ceil(capacity * reserve_fraction)
    total = weights + batch * per_sequence + reserve
    largest = _whole_times(most((capacity - reserve - weights, 0)), per_sequence)
    fits = largest >= batch if _scalar(largest, batch) else np.asarray(largest) >= batch
    return MemoryFit(
        weights_bytes=weights,
        kv_cache_bytes=batch * context * cache,
        activations_bytes=batch * activation,
        reserve_bytes=reserve,
        total_bytes=total,
        capacity_bytes=capacity,
        short_by_bytes=most((total - capacity, 0)),
        largest_batch=largest,
        fits=fits,
    )


def _scalar(*values: Amount) -> bool:
    return not any(isinstance(value, np.ndarray) for value in values)


def _ceil(value: Amount) -> Amount:
    return np.ceil(value) if isinstance(value, np.ndarray) else math.ceil(value)


def _whole_times(space: Amount, item: Amount) -> Amount:
    """How many items fit into a space: exact for scalars, which need not be whole."""
    if isinstance(space, np.ndarray) or isinstance(item, np.ndarray):
        return np.floor(np.asarray(space, dtype=np.float64) / item)
    return int(Fraction(space) // Fraction(item))
