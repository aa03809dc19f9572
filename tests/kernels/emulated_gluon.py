"""Gluon kernels run as plain Python on the CPU: a thread a partition, barriers that count.

Triton's interpreter knows no Gluon. Here the functions of a module are called as they are written,
with its names of Gluon exchanged: shared memory and values are torch tensors, copies and products
happen when they are asked for, and a barrier's phase ends when all have arrived and all bytes have
landed. A wait that nobody ends raises. What this cannot show is a hazard between asynchronous
instructions, which only a GPU runs.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

PATIENCE_S = 5.0
here = threading.local()


class Kept:
    """Shared memory, or a view of it."""

    def __init__(self, data: torch.Tensor) -> None:
        self.data, self.dtype = data, data.dtype

    def index(self, at: Any) -> Kept:
        return Kept(self.data[int(at)])

    def reshape(self, shape: list[int]) -> Kept:
        return Kept(self.data.view(shape))

    def store(self, value: torch.Tensor) -> None:
        self.data.copy_(value)

    def permute(self, order: tuple[int, ...]) -> Kept:
        return Kept(self.data.permute(*order))


class Barrier:
    """So many arrivals and bytes end a phase."""

    def __init__(self) -> None:
        self.count = self.left = self.bytes = self.ended = 0
        self.turn = threading.Condition()

    def change(self, arrivals: int, bytes_: int) -> None:
        with self.turn:
            self.left -= arrivals
            self.bytes += bytes_
            assert self.left >= 0, "more arrivals than the barrier counts"
            if self.left == 0 and self.bytes == 0:
                self.ended, self.left = self.ended + 1, self.count
                self.turn.notify_all()

    def wait(self, parity: Any) -> None:
        with self.turn:
            if not self.turn.wait_for(lambda: (self.ended + 1) % 2 == int(parity), PATIENCE_S):
                raise TimeoutError("a barrier that nobody ends")


class Barriers:
    """A row of barriers in shared memory."""

    def __init__(self, number: int) -> None:
        self.each = [Barrier() for _ in range(number)]

    def index(self, at: Any) -> Barrier:
        return self.each[int(at)]


class Descriptor:
    """Tiles `(1, rows, wide)` of a tensor `(heads, positions, d)`, zero beyond its ends."""

    layout = None

    def __init__(self, base: torch.Tensor, rows: int, wide: int) -> None:
        self.base, self.rows, self.wide = base, rows, wide

    def load(self, at: list[Any], barrier: Barrier, kept: Kept) -> None:
        head, row = int(at[0]), int(at[1])
        found = self.base[head, row : row + self.rows]
        kept.data.zero_()
        kept.data[0, : found.shape[0], : found.shape[1]] = found
        barrier.change(0, -kept.data.numel() * kept.data.element_size())

    def store(self, at: list[Any], kept: Kept) -> None:
        head, row = int(at[0]), int(at[1])
        found = self.base[head, row : row + self.rows]
        found.copy_(kept.data[0, : found.shape[0], : found.shape[1]])


def allocate(dtype: torch.dtype, shape: list[int], layout: Any = None) -> Kept | Barriers:
    barriers = dtype == torch.int64
    return Barriers(shape[0]) if barriers else Kept(torch.full(shape, float("nan"), dtype=dtype))


def product(a: Any, b: Kept, total: torch.Tensor, use_acc: bool = True, is_async: bool = False):
    found = (a.data if isinstance(a, Kept) else a).float() @ b.data.float()
    return found + total if use_acc else found


def specialize(work: list[tuple[Callable[..., None], Any]], warps: Any, registers: Any) -> None:
    program, failed = here.program, list[BaseException]()

    def partition(function: Callable[..., None], arguments: Any) -> None:
        here.program = program
        try:
            function(*arguments)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=partition, args=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def names(programs: int) -> dict[str, Any]:
    """What stands for the names that a kernel's module has of Gluon."""

    def tensor(value: Any) -> torch.Tensor:
        return torch.as_tensor(value)

    def expect(barrier: Barrier, bytes_: int) -> None:
        barrier.change(1, bytes_)

    def init(barrier: Barrier, count: int) -> None:
        barrier.count = barrier.left = count

    language = SimpleNamespace(
        **{name: getattr(torch, name) for name in ("float32", "int64", "exp2")},
        **dict.fromkeys(
            ("NVMMADistributedLayout", "DotOperandLayout", "SliceLayout"), lambda *_: None
        ),
        constexpr=object,
        program_id=lambda axis: torch.tensor(here.program),
        num_programs=lambda axis: torch.tensor(programs),
        cdiv=lambda a, b: (a + b - 1) // b,
        minimum=lambda a, b: torch.minimum(tensor(a), tensor(b)),
        maximum=lambda a, b: torch.maximum(tensor(a), tensor(b)),
        where=lambda holds, a, b: torch.where(tensor(holds), a, b),
        arange=lambda first, last, layout: torch.arange(first, last),
        full=lambda shape, value, dtype, layout: torch.full(shape, value, dtype=dtype),
        zeros=lambda shape, dtype, layout: torch.zeros(shape, dtype=dtype),
        convert_layout=lambda value, layout: value,
        max=lambda value, axis: value.amax(axis),
        sum=lambda value, axis: value.sum(axis),
        static_range=range,
        inline_asm_elementwise=lambda text, constraints, arguments, **_: arguments[0],
        allocate_shared_memory=allocate,
        warp_specialize=specialize,
    )
    return {
        "gl": language,
        "mbarrier": SimpleNamespace(
            MBarrierLayout=lambda: None,
            init=init,
            expect=expect,
            arrive=lambda barrier, count: barrier.change(count, 0),
            wait=lambda barrier, parity: barrier.wait(parity),
        ),
        "tma": SimpleNamespace(
            async_copy_global_to_shared=Descriptor.load,
            async_copy_shared_to_global=Descriptor.store,
            store_wait=lambda left: None,
        ),
        "warpgroup_mma": product,
        "warpgroup_mma_wait": lambda number, deps: deps[0] if len(deps) == 1 else tuple(deps),
        "fence_async_shared": lambda: None,
    }


@contextmanager
def emulated(module: ModuleType, programs: int) -> Generator[None]:
    """The module's kernels as plain functions, its names of Gluon exchanged."""
    before = dict(vars(module))
    plain = {name: value.fn for name, value in before.items() if hasattr(value, "is_gluon")}
    constants = {
        name: value.value for name, value in before.items() if type(value).__name__ == "constexpr"
    }
    try:
        vars(module).update(plain | constants | names(programs))
        yield
    finally:
        vars(module).update(before)
