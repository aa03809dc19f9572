"""Which unit of a GPU limits attention: clocks per unit and tile, and what each trick buys.

The question of FlashAttention-4 (arXiv 2603.05451): from Hopper to Blackwell the matrix unit
doubled while the exponential unit and shared memory did not. Clocks are of one step of the kernel's
own block on long sequences without a mask, for 128 x 128 scores, each unit at its peak; rates of
the whole kernel are predictions with its calibration (priors).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hwmodel.einsum.workloads.attention import attention
from hwmodel.errors import CoverageError
from hwmodel.gpu.clocks import clocks, limiting
from hwmodel.gpu.lower import Call, lower
from hwmodel.gpu.predict import family_of, run
from hwmodel.gpu.schedules.flash4 import Flash4Tile, forward_step
from hwmodel.hardware import Hardware, limits
from hwmodel.units import Amount

KERNEL = "flash-attention-4"
HEAD_DIMS = (64, 128, 256)
TOKENS, HIDDEN, LENGTH = 32_768, 2048, 16_384
"""The paper's benchmark: 32 Ki tokens in all, and as many heads as make up 2048."""
SCORES = 128 * 128
TRICKS: Mapping[str, Mapping[str, Amount]] = {
    "as it is": {},
    "no emulated exp": {"emulated": 0.0},
    "rescales always": {"rescaled": 1.0},
    "no pairs": {"pair": 1},
    "none of them": {"emulated": 0.0, "rescaled": 1.0, "pair": 1},
}
"""Name -> fields of the launch that a what-if changes."""


@dataclass(frozen=True)
class Units:
    """One machine and head dimension: clocks per unit for 128 x 128 scores, and FLOP/s by trick."""

    machine: str
    head_dim: int
    clocks: Mapping[str, float]
    limits: tuple[str, ...]
    rates_flop_per_s: Mapping[str, float]
    tile: Flash4Tile


def units(hardware: Hardware, head_dim: int) -> Units:
    """Clocks and rates on one machine; raises `CapacityError` where the kernel cannot run."""
    call = _call(head_dim)
    problem = call.problem
    times = {name: _run(call, hardware, changes) for name, changes in TRICKS.items()}
    tile = times["as it is"][0]
    step = forward_step(problem, tile, "tensor" in limits(hardware).capacity_bytes)
    per_tile = float(tile.block_q * tile.block_k) / SCORES
    busy = {name: float(count) / per_tile for name, count in clocks(step, hardware).items()}
    flop = 4 * problem.batch * problem.heads * problem.queries * problem.keys * head_dim
    rates = {name: float(flop / time_s) for name, (_, time_s) in times.items()}
    return Units(hardware.name, head_dim, busy, limiting(busy), rates, tile)


def survey(machines: Sequence[Hardware], head_dims: Sequence[int] = HEAD_DIMS) -> tuple[Units, ...]:
    """Every machine at every head dimension, by head dimension."""
    return tuple(units(machine, head_dim) for head_dim in head_dims for machine in machines)


def _call(head_dim: int) -> Call:
    cascade = attention(
        batch=TOKENS // LENGTH,
        heads=HIDDEN // head_dim,
        queries=LENGTH,
        keys=LENGTH,
        head_dim=head_dim,
    )
    return lower(cascade, KERNEL)[0]


def _run(call: Call, hardware: Hardware, changes: Mapping[str, Amount]) -> tuple[Any, Amount]:
    """Tile and seconds of the call, its launch changed."""
    if hardware.calibration is None:
        raise CoverageError(f"{hardware.name}: has no calibration; load it with hwmodel.device()")
    resolve = call.resolve
    assert resolve is not None

    def changed(tile: Any, problem: Any, bounds: Any) -> Any:
        launch = resolve(tile, problem, bounds)
        column = 0 * launch.split  # a menu's records are columns
        return replace(launch, **{name: value + column for name, value in changes.items()})

    family = family_of(hardware.calibration, call.family)
    values = {name: parameter.value for name, parameter in family.parameters.items()}
    menu = call.menu if "emulated" not in changes else call.menu[-1:]
    result = run(replace(call, menu=menu, resolve=changed), hardware, values)
    return result.tile, result.folded.time_s
