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
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.gpu.calls import run
from hwmodel.machines.gpu.clocks import clocks, limiting
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.machines.gpu.lower import Call, lower
from hwmodel.machines.gpu.schedules.flash4 import WIDEST_HEAD, Flash4Tile, forward_step
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.units import Amount
from hwmodel.text.grid import grid

KERNEL = "flash-attention-4"
MACHINES = ("h100", "h200", "b200", "b300")
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
"""Name -> fields of the launch that a what-if changes; all need tensor memory."""


@dataclass(frozen=True)
class Units:
    """One machine and head dimension: clocks per unit for 128 x 128 scores, and FLOP/s by trick."""

    machine: str
    head_dim: int
    clocks: Mapping[str, float]
    limits: tuple[str, ...]
    rates_flop_per_s: Mapping[str, float]
    tile: Flash4Tile

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {**vars(self), "limits": list(self.limits), "tile": vars(self.tile)}


def units(hardware: Hardware, head_dim: int) -> Units:
    """Clocks and rates on one machine; raises `CapacityError` where the kernel cannot run."""
    if not 1 <= head_dim <= WIDEST_HEAD:
        raise InputError(f"head_dim: expected 1 to {WIDEST_HEAD}, found {head_dim}")
    if hardware.kind != "gpu":
        found = f"expected a GPU, found one of kind {hardware.kind}"
        raise CoverageError(f"attention units of {hardware.name}: {found}")
    call = _call(head_dim)
    problem = call.problem
    tensor = "tensor" in limits(hardware).capacity_bytes
    times = {
        name: _run(call, hardware, changes)
        for name, changes in TRICKS.items()
        if tensor or not changes
    }
    tile = times["as it is"][0]
    step = forward_step(problem, tile, tensor)
    per_tile = float(tile.block_q * tile.block_k) / SCORES
    busy = {name: float(count) / per_tile for name, count in clocks(step, hardware).items()}
    flop = 4 * problem.batch * problem.heads * problem.queries * problem.keys * head_dim
    rates = {name: float(flop / time_s) for name, (_, time_s) in times.items()}
    return Units(hardware.name, head_dim, busy, limiting(busy), rates, tile)


def survey(machines: Sequence[Hardware], head_dims: Sequence[int] = HEAD_DIMS) -> tuple[Units, ...]:
    """Every machine at every head dimension, by head dimension."""
    return tuple(units(machine, head_dim) for head_dim in head_dims for machine in machines)


def survey_text(found: Sequence[Units]) -> str:
    """Clocks and what limits, a row for each machine and head dimension; then what tricks buy."""
    names = list(dict.fromkeys(name for each in found for name in each.clocks))
    rows = [
        [
            each.machine,
            str(each.head_dim),
            *(f"{each.clocks[name]:.0f}" if name in each.clocks else "-" for name in names),
            f"{each.tile.emulated:.1%}",
            ", ".join(each.limits),
        ]
        for each in found
    ]
    tricks = [
        [each.machine, str(each.head_dim)]
        + [_tera(each.rates_flop_per_s.get(name)) for name in TRICKS]
        for each in found
    ]
    heads = ("device", "head dim")
    return "\n\n".join(
        (
            "FlashAttention-4, forward: clocks of each unit for 128 x 128 scores, at its peak",
            grid((*heads, *names, "exp emulated", "limits"), rows, left=(0,)),
            f"TFLOP/s of the whole kernel, {TOKENS:,} tokens in sequences of {LENGTH:,}: predicted"
            " with priors",
            grid((*heads, *TRICKS), tricks, left=(0,)),
        )
    )


def _tera(rate: float | None) -> str:
    return "-" if rate is None else f"{rate / 1e12:.0f}"


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
