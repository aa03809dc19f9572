"""What a device of a stage runs by itself in a step of training, and how long that takes.

Both ends of the network, a module that predicts a further token with the head once more where there
are some, and one layer of each kind: all of it depends on few fields of an execution (`ALONE`), so
that a search asks once for those that have them in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.run import Run
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes
from hwmodel.systems.training import adapters, kernels, optimizers
from hwmodel.systems.training.efficiency import Software
from hwmodel.systems.training.kernels import Seconds
from hwmodel.systems.training.layers import Piece, loss, piece
from hwmodel.systems.training.optimizers import Update

ENDS = 2
"""Pieces before and after the layers."""
ALONE = ("tp", "cp", "sp", "ep", "expert_tp", "micro_batch", "zero", "recompute")


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


Known: TypeAlias = dict[tuple[Any, ...], Alone]
"""Values of the fields `ALONE` of an execution -> what it is for all executions with those."""


def remembered(
    work: Training, how: Execution, machine: Hardware, kernel: Any, runs: Software, known: Known
) -> Alone:
    """The pieces and seconds of an execution, asked once for all that have them in common."""
    rows = how.micro_batches if work.optimizer in optimizers.PRODUCTS else None
    key = (*(getattr(how, name) for name in ALONE), rows)
    if key not in known:
        known[key] = alone(work, how, machine, kernel, runs)
    return known[key]


def alone(work: Training, how: Execution, machine: Hardware, kernel: Any, runs: Software) -> Alone:
    """The pieces of an execution on one device, and their seconds.

    Raises `CoverageError` for modules that predict further tokens of a model that makes none.
    """
    network, modules = work.model.network, _further(work)
    first = adapters.changed(piece(network.before, work, how, layer=None), work, (), how.tp)
    last = piece(network.after, work, how, layer=None, last=True)
    last = adapters.changed(last, work, (), how.tp)
    vocabulary = Sizes.of(network).vocabulary
    last = replace(last, kernels=(*last.kernels, *loss(work, how, vocabulary)))
    ahead = _ahead(work, how, last) if modules else ()
    layers = [_layer(group.blocks, work, how, group.numbers[0]) for group in network.layers]
    pieces = (first, last, *ahead, *layers)
    often = (1, 1, *(modules for _ in ahead), *(len(group.numbers) for group in network.layers))
    further = [network.module, ()] if modules else []
    updates = [
        optimizers.update((weight for block in blocks for weight in block.weights()), work, how)
        for blocks in (*further, *(group.blocks for group in network.layers))
    ]
    asked = [*(each.kernels for each in pieces), *(each.kernels for each in updates)]
    seconds, run = kernels.timed(asked, machine, kernel, runs)
    own, more = seconds[: len(pieces)], seconds[len(pieces) :]
    return Alone(pieces, often, modules, own, updates, more, run)


def _layer(blocks: Sequence[Block], work: Training, how: Execution, number: int) -> Piece:
    weights = (weight for block in blocks for weight in block.weights())
    return adapters.changed(piece(blocks, work, how, layer=number), work, weights, how.tp)


def _further(work: Training) -> int:
    """Modules that predict further tokens: as many as are said, or as the config says."""
    network = work.model.network
    count = network.further if work.mtp is None else work.mtp
    if count and not network.module:
        raise CoverageError(f"{work.name}: mtp: a model that makes tokens one by one is expected")
    return count


def _ahead(work: Training, how: Execution, last: Piece) -> tuple[Piece, Piece]:
    """A module that predicts a further token, and the model's own head and loss once more."""
    network = work.model.network
    again = replace(last, dense=0.0, experts=0.0, frozen=0.0)
    return _layer(network.module, work, how, network.depth - 1), again
