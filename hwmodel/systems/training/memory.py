"""Bytes of weights, gradients and the optimiser on a device, by ZeRO's stage (arXiv 1910.02054).

Of mixed precision a parameter has 2 bytes of weight, and what a step keeps beside it
(`einsum.workloads.kept`): where nothing is said 4 of gradient, 4 of a copy and 4 for each number
of the optimiser, 18 with Adam (Korthikanti et al., arXiv 2205.05198). What n replicas divide:

    0   nothing
    1   copy and optimiser
    2   gradients too
    3   weights too: those of two layers are gathered at a time, in 2 bytes each, and the copy is
        the weight (FSDP), in whose format gradients are kept once they are scattered. In a
        pipeline they stay gathered between micro-batches, and gradients are summed whole before
        they are scattered: until the last backward pass of a stage neither is done
        (torch/distributed/pipelining/stage.py at 0138610)
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.kept import Kept

WEIGHT_BYTES = 2
GATHERED = 2
"""Layers whose weights stand gathered at a time."""
TEMPORARIES = 4
"""Of a tensor, while random numbers change it (zeroth order): they, these by the projection of the
gradient, the decay of the weight, and the sum (ZO2's released code, `zo_update`)."""
SWEPT_BYTES = 2 * WEIGHT_BYTES
"""Of a weight that is moved along random numbers: read and written."""
MOVED_BYTES = 2 * SWEPT_BYTES + 2 * WEIGHT_BYTES
"""Of a weight that is moved along its gradient and back (SAM), beside reading that: twice read and
written, the perturbation written and read."""


@dataclass(frozen=True)
class States:
    """Bytes that a device holds in all steps alike."""

    weights_bytes: float
    gradients_bytes: float
    optimizer_bytes: float

    def __add__(self, other: "States") -> "States":
        """Both together."""
        return States(
            self.weights_bytes + other.weights_bytes,
            self.gradients_bytes + other.gradients_bytes,
            self.optimizer_bytes + other.optimizer_bytes,
        )

    @property
    def total_bytes(self) -> float:
        """All three."""
        return self.weights_bytes + self.gradients_bytes + self.optimizer_bytes


def states(
    parameters: float,
    replicas: int,
    *,
    zero: int,
    kept: Kept,
    largest: float = 0.0,
    gathered: bool = False,
) -> States:
    """Of so many parameters that `replicas` devices hold alike; `largest` those of one layer.

    `gathered`: whether with zero 3 all stay whole over a step's micro-batches.
    """
    by = [replicas if zero >= stage else 1 for stage in (1, 2, 3)]
    if zero == 3:
        at_once = parameters if gathered else min(parameters, GATHERED * largest)
        own = kept.copy_bytes or WEIGHT_BYTES
        return States(
            own * parameters / replicas + at_once * WEIGHT_BYTES,
            (kept.gradient_bytes * parameters if gathered else own * parameters / replicas),
            kept.states_bytes * parameters / replicas,
        )
    return States(
        WEIGHT_BYTES * parameters / by[2],
        kept.gradient_bytes * parameters / by[1],
        (kept.copy_bytes + kept.states_bytes) * parameters / by[0],
    )


def frozen(
    parameters: float, replicas: int, *, zero: int, largest: float = 0.0, gathered: bool = False
) -> States:
    """Of parameters that are not trained: weights in 16 bits, which zero 3 divides."""
    if zero < 3:
        return States(WEIGHT_BYTES * parameters, 0.0, 0.0)
    at_once = parameters if gathered else min(parameters, GATHERED * largest)
    return States(WEIGHT_BYTES * (parameters / replicas + at_once), 0.0, 0.0)


def update_bytes(parameters: float, replicas: int, *, zero: int, kept: Kept) -> float:
    """What an optimiser's step reads and writes: copy and states twice, gradient, new weight.

    Without a copy the weight is read too.
    """
    mine = parameters / (replicas if zero >= 1 else 1)
    both = kept.copy_bytes + kept.states_bytes
    read = 0 if kept.copy_bytes else WEIGHT_BYTES
    return mine * (2 * both + kept.gradient_bytes + read + WEIGHT_BYTES)


def moved_bytes(parameters: float, forwards: int, backwards: int, gradient_bytes: float) -> float:
    """What perturbations of so many parameters, and an update in place, read and write.

    Of a zeroth-order step each forward pass has one, one leads back, and one updates.
    """
    if not backwards:
        return (forwards + 2) * SWEPT_BYTES * parameters
    return (backwards - 1) * (MOVED_BYTES + gradient_bytes) * parameters


def moving(parameters: float, largest: int, backwards: int) -> States:
    """Bytes where weights are moved: a perturbation of each, or temporaries of a tensor."""
    if backwards:
        return States((backwards > 1) * WEIGHT_BYTES * parameters, 0.0, 0.0)
    return States(0.0, float(TEMPORARIES * WEIGHT_BYTES * largest), 0.0)
