"""Random inputs without the cost of drawing them anew: pools of numbers that are carved into sets.

A pool holds standard normal numbers (activations) or 0.02 times that (weights), one pool for each
dtype. A `Carver` walks through the pools; tensors taken one after the other lie at successive
offsets, so a row of input sets covers fresh memory until the pool wraps around. Data is never zero:
a matrix product on zeros draws less power and runs faster than on real data. Units: bytes.
"""

# pyright: basic, reportMissingImports=false

from dataclasses import dataclass, field
from math import prod

import torch

from hwmodel.quantity.errors import InputError

ALIGNMENT_BYTES = 1024
FILL_ELEMENTS = 1 << 26
WEIGHT_SCALE = 0.02
POOL_BYTES = {"bf16": 6 << 30, "fp16": 2 << 30, "fp32": 4 << 30, "fp8": 2 << 30}
TORCH_DTYPE = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp8": torch.float8_e4m3fn,
}


def pool_bytes(memory_bytes: float) -> dict[str, int]:
    """Capacities of the pools, two of each, that leave half of a device's memory free."""
    share = min(1.0, memory_bytes / (4 * sum(POOL_BYTES.values())))
    return {dtype: int(size * share) for dtype, size in POOL_BYTES.items()}


@dataclass
class Arena:
    """The pools, drawn on first use and kept until `clear`."""

    device: str = "cuda"
    capacity_bytes: dict[str, int] = field(default_factory=lambda: dict(POOL_BYTES))
    pools: dict[tuple[str, bool], torch.Tensor] = field(default_factory=dict)

    def pool(self, dtype: str, weight: bool) -> torch.Tensor:
        """The flat pool of one dtype; fp32 and tf32 share one."""
        dtype = "fp32" if dtype == "tf32" else dtype
        if (dtype, weight) not in self.pools:
            self.pools[dtype, weight] = self.draw(dtype, WEIGHT_SCALE if weight else 1.0)
        return self.pools[dtype, weight]

    def draw(self, dtype: str, scale: float) -> torch.Tensor:
        """A new pool of `scale` times standard normal numbers."""
        kind = TORCH_DTYPE[dtype]
        elements = self.capacity_bytes[dtype] // kind.itemsize
        pool = torch.empty(elements, dtype=kind, device=self.device)
        # An e4m3 number spans 2^-9 to 448: weights of 0.02 would mostly be subnormal, so an fp8
        # pool is standard normal throughout, as after a per-tensor scale.
        scale = 1.0 if dtype == "fp8" else scale
        for part in pool.split(FILL_ELEMENTS):
            part.copy_(torch.randn(part.numel(), device=self.device, dtype=torch.float32) * scale)
        return pool

    def clear(self) -> None:
        """Give the memory back."""
        self.pools.clear()


@dataclass
class Carver:
    """Takes tensors from an arena at successive offsets and adds up their bytes."""

    arena: Arena
    offsets: dict[tuple[str, bool], int] = field(default_factory=dict)
    taken_bytes: int = 0
    facts: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        """Keeps a fact about one set of inputs, such as the experts that its routing touches."""
        self.facts.setdefault(name, []).append(value)

    def take(self, *shape: int, dtype: str = "bf16", weight: bool = False) -> torch.Tensor:
        """A contiguous tensor of random numbers, overlapping none taken just before."""
        pool = self.arena.pool(dtype, weight)
        key = ("fp32" if dtype == "tf32" else dtype, weight)
        elements = prod(shape)
        if elements > pool.numel():
            raise InputError(
                f"input of shape {shape} in {dtype} needs {elements * pool.itemsize} bytes, but "
                f"the pool has {pool.numel() * pool.itemsize}; draw a smaller shape"
            )
        start = self.offsets.get(key, 0)
        if start + elements > pool.numel():
            start = 0
        step = ALIGNMENT_BYTES // pool.itemsize
        self.offsets[key] = start + -(-elements // step) * step
        self.taken_bytes += elements * pool.itemsize
        return pool[start : start + elements].view(shape)
