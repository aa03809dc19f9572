"""Optimisers that treat a weight as a matrix: products, what they keep and what they exchange.

    muon    the momentum made orthogonal by five iterations of three products along its shorter side
            (KellerJordan/Muon, `zeropower_via_newtonschulz5`: X X', A A, B X)
    kfac    covariances of what a product read and of its gradient, [inputs, inputs] and [outputs,
            outputs], over the rows of a step; they are exchanged and inverted each `every` steps,
            and each step multiplies the gradient by both inverses (Martens and Grosse, arXiv
            1503.05671)
    mkor    the inverses themselves, which a vector for each side changes: each `every` steps a
            product of a matrix and a vector, and a matrix read and written; vectors are exchanged
            in 16 bits (MKOR, NeurIPS 2023, the abstract: rank-1 updates, quadratic in the width,
            exchanges linear)

Matrices are the layers' linear weights; all else is updated as by Adam. With ZeRO whole matrices
are dealt to replicas. An inverse is counted as a product of three sides of it, which has its
operations; libraries' inversions are slower. Rows are those of one device.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from hwmodel.einsum.counts import flops
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import copy
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.kernels import Seconds
from hwmodel.systems.training.layers import Kernel
from hwmodel.systems.training.stages import Stage

ITERATIONS = 5
"""Of Newton and Schulz."""
WIDE_BYTES, HALF_BYTES = 4, 2


@dataclass(frozen=True)
class Matrices:
    """Equal weights of a layer on a device: outputs, inputs, and how many there are."""

    outputs: int
    inputs: int
    count: float


@dataclass(frozen=True, eq=False)
class Update:
    """What an optimiser does for a layer beside Adam's reading and writing.

    Attributes:
        flops: of its products, on a device that has all of the layer.
        kept_bytes: of factors; `shared_bytes` of what replicas sum, in a step on average.
    """

    kernels: tuple[Kernel, ...]
    flops: float
    kept_bytes: float
    shared_bytes: float


Made: TypeAlias = Iterator[tuple[Kernel, float, float]]
"""A kernel, with bytes kept and shared that go with it."""


def update(weights: Iterable[Weight], work: Training, how: Execution) -> Update:
    """The optimiser's work for the weights of a layer."""
    products = PRODUCTS.get(work.optimizer)
    if products is None or work.adapters or not work.backwards:
        return Update((), 0.0, 0.0, 0.0)
    rows = how.micro_batch * (how.micro_batches or 1) * work.sequence // how.cp
    made = [
        each
        for weight in weights
        if weight.role == "linear" and len(weight.shape) == 2
        for each in products(_matrices(weight, how), rows, work.every, work.wide)
    ]
    kernels = tuple(kernel for kernel, _, _ in made)
    return Update(
        kernels,
        sum(kernel.times * float(flops(kernel.cascade)) for kernel in kernels),
        sum(kept for _, kept, _ in made),
        sum(shared for _, _, shared in made),
    )


def updated(stage: Stage, each: Update, took: Seconds, how: Execution) -> Stage:
    """A layer with what its optimiser takes: with ZeRO its replicas' part."""
    part = how.dp * how.cp if how.zero else 1
    return replace(
        stage,
        update_s=took.forward_s / part,
        factor_bytes=each.kept_bytes / part,
        shared_bytes=each.shared_bytes,
        update_flops=each.flops,
    )


def _matrices(weight: Weight, how: Execution) -> Matrices:
    outputs, inputs = weight.sizes(how.expert_tp if weight.copies > 1 else how.tp)
    return Matrices(outputs, inputs, weight.elements(how) / (outputs * inputs))


def _muon(each: Matrices, rows: int, every: int, dtype: str) -> Made:
    short, long = sorted((each.outputs, each.inputs))
    for sizes in ((short, short, long), (short, short, short), (short, long, short)):
        product = gemm(*sizes, dtype=dtype, name="muon iteration")
        yield Kernel(product, ITERATIONS * each.count, "forward"), 0.0, 0.0


def _kfac(each: Matrices, rows: int, every: int, dtype: str) -> Made:
    for side in (each.outputs, each.inputs):
        covariance = gemm(side, side, rows, dtype=dtype, name="kfac covariance")
        factor = WIDE_BYTES * each.count * side**2
        yield Kernel(covariance, each.count / every, "forward"), factor, factor / every
        inverse = gemm(side, side, side, dtype=dtype, name="kfac inverse")
        yield Kernel(inverse, each.count / every, "forward"), factor, 0.0
    yield from _preconditioned(each, dtype)


def _mkor(each: Matrices, rows: int, every: int, dtype: str) -> Made:
    for side in (each.outputs, each.inputs):
        mean = gemm(1, side, rows, dtype=dtype, name="mkor mean")
        shared = HALF_BYTES * each.count * side / every
        yield Kernel(mean, each.count / every, "forward"), 0.0, shared
        turned = gemm(side, 1, side, dtype=dtype, name="mkor turned")
        kept = HALF_BYTES * each.count * side**2
        yield Kernel(turned, each.count / every, "forward"), kept, 0.0
        changed = copy(side, side, dtype=dtype, name="mkor inverse")
        yield Kernel(changed, each.count / every, "forward"), 0.0, 0.0
    yield from _preconditioned(each, dtype)


def _preconditioned(each: Matrices, dtype: str) -> Made:
    """The gradient between both inverses."""
    for sizes in (
        (each.outputs, each.inputs, each.outputs),
        (each.outputs, each.inputs, each.inputs),
    ):
        product = gemm(*sizes, dtype=dtype, name="preconditioned")
        yield Kernel(product, each.count, "forward"), 0.0, 0.0


PRODUCTS: Mapping[str, Callable[[Matrices, int, int, str], Made]] = {
    "muon": _muon,
    "kfac": _kfac,
    "mkor": _mkor,
}
