"""What a device of a stage runs by itself in a step of training, and how long that takes.

Both ends of the network, a module that predicts a further token with the head once more where there
are some, and one layer of each kind: all of it depends on few fields of an execution (`ALONE`), so
that a search asks once for those that have them in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.unit import Unit
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.run import Run
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes
from hwmodel.systems.training import adapters, kernels, optimizers
from hwmodel.systems.training.efficiency import Software
from hwmodel.systems.training.kernels import Prices, Seconds
from hwmodel.systems.training.layers import Piece, loss, piece
from hwmodel.systems.training.looked import Seen
from hwmodel.systems.training.maps import piece_of_maps
from hwmodel.systems.training.optimizers import Update

ENDS = 2
"""Pieces before and after the layers."""
ALONE = ("tp", "cp", "sp", "ep", "expert_tp", "micro_batch", "zero")
DENSE = tuple(name for name in ALONE if name not in ("ep", "expert_tp"))
"""What pieces without experts depend on."""


def fields(how: Execution, names: Sequence[str] = ALONE) -> tuple[Any, ...]:
    """Those of an execution, and what it computes again by operation, as FSDP alone does."""
    return (*(getattr(how, name) for name in names), how.zero == 3 and how.recompute)


@dataclass(frozen=True, eq=False)
class Alone:
    """What a device runs by itself: pieces, how often the model has each, and their seconds.

    They are both ends, a module that predicts a further token with the head once more where there
    are `modules`, and one layer of each kind; of all but the ends what their optimiser computes,
    `updates`, and its seconds.
    """

    pieces: tuple[Piece, ...]
    times: tuple[int, ...]
    modules: int
    seconds: list[Seconds]
    updates: list[Update]
    updated: list[Seconds]
    run: Run


@dataclass(frozen=True, eq=False)
class Known:
    """What executions of one step on one machine have in common, so that each is asked for once.

    `alone` by the values of the fields `ALONE`, `made` also by what exchanges depend on
    (`hwmodel.systems.training.made`), `pieces` one by one, `prices` of kernels,
    `seen` of layers.
    """

    alone: dict[tuple[Any, ...], Alone] = field(default_factory=lambda: {})
    made: dict[tuple[Any, ...], Any] = field(default_factory=lambda: {})
    pieces: dict[tuple[Any, ...], Piece] = field(default_factory=lambda: {})
    prices: Prices = field(default_factory=Prices)
    seen: Seen = field(default_factory=Seen)


def shared(work: Training, how: Execution) -> tuple[Any, ...]:
    """What executions whose devices run the same by themselves have alike."""
    rows = how.micro_batches if work.optimizer in optimizers.PRODUCTS else None
    return (*fields(how), rows)


def remembered(
    work: Training, how: Execution, machine: Hardware, kernel: Any, runs: Software, known: Known
) -> Alone:
    """The pieces and seconds of an execution, asked once for all that have them in common."""
    key = (*shared(work, how), runs.share)
    if key not in known.alone:
        known.alone[key] = alone(work, how, machine, kernel, runs, known)
    return known.alone[key]


def alone(
    work: Training,
    how: Execution,
    machine: Hardware,
    kernel: Any,
    runs: Software,
    known: Known | None = None,
) -> Alone:
    """The pieces of an execution on one device, and their seconds.

    Raises `CoverageError` for modules that predict further tokens of a model that makes none.
    """
    before = known or Known()
    network, modules = work.model.network, _further(work)

    def layer(blocks: Sequence[Block], number: int | None, *, last: bool = False) -> Piece:
        """A layer or an end, with its adapters; of one without experts whatever divides those."""
        names = ALONE if _mixed(blocks) else DENSE
        key = (number, last, blocks is network.module, *fields(how, names))
        if key not in before.pieces:
            weights = () if number is None else (w for block in blocks for w in block.weights())
            found = piece_of(blocks, work, how, layer=number, last=last, seen=before.seen)
            before.pieces[key] = adapters.changed(found, work, weights, how)
        return before.pieces[key]

    first, last = layer(network.before, None), layer(network.after, None, last=True)
    vocabulary = Sizes.of(network).vocabulary
    last = replace(last, kernels=(*last.kernels, *loss(work, how, vocabulary)))
    ahead: tuple[Piece, ...] = ()
    if modules:  # the model's own head and loss once more behind each
        again = replace(last, dense=0.0, experts=0.0, frozen=0.0)
        ahead = layer(network.module, network.depth - 1), again
    pieces = (first, last, *ahead, *(layer(g.blocks, g.numbers[0]) for g in network.layers))
    often = (1, 1, *(modules for _ in ahead), *(len(group.numbers) for group in network.layers))
    further = [network.module, ()] if modules else []
    updates = [
        optimizers.update((weight for block in blocks for weight in block.weights()), work, how)
        for blocks in (*further, *(group.blocks for group in network.layers))
    ]
    asked = [*(each.kernels for each in pieces), *(each.kernels for each in updates)]
    seconds, run = kernels.timed(asked, machine, kernel, runs, before.prices)
    own, more = seconds[: len(pieces)], seconds[len(pieces) :]
    return Alone(pieces, often, modules, own, updates, more, run)


def piece_of(blocks: Sequence[Block], work: Training, how: Execution, **options: Any) -> Piece:
    """Blocks of tokens, or a unit of a network of maps, as a piece."""
    unit = blocks[0] if blocks else None
    if not isinstance(unit, Unit):
        return piece(blocks, work, how, **options)
    every = (each for group in work.model.network.layers for each in group.blocks)
    return piece_of_maps(unit, [each for each in every if isinstance(each, Unit)], work, how)


def _mixed(blocks: Sequence[Block]) -> bool:
    """Whether any of them has experts."""
    return any(weight.part == "experts" for block in blocks for weight in block.weights())


def _further(work: Training) -> int:
    """Modules that predict further tokens: as many as are said, or as the config says."""
    network = work.model.network
    count = network.further if work.mtp is None else work.mtp
    if count and not network.module:
        raise CoverageError(f"{work.name}: mtp: a model that makes tokens one by one is expected")
    return count
