from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

class Marginals:
    marginals: NDArray[np.float64]

class OptimizeResult:
    status: int
    message: str
    x: NDArray[np.float64]
    fun: float
    ineqlin: Marginals

class LinearConstraint:
    def __init__(self, A: ArrayLike, lb: ArrayLike = ..., ub: ArrayLike = ...) -> None: ...

class Bounds:
    def __init__(self, lb: ArrayLike = ..., ub: ArrayLike = ...) -> None: ...

def linear_sum_assignment(
    cost_matrix: ArrayLike, maximize: bool = ...
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def linprog(
    c: ArrayLike,
    A_ub: ArrayLike | csr_matrix | None = ...,
    b_ub: ArrayLike | None = ...,
    *,
    bounds: tuple[float, float] | Sequence[tuple[float, float]] = ...,
    method: str = ...,
    options: Mapping[str, float] | None = ...,
) -> OptimizeResult: ...
def milp(
    c: ArrayLike,
    *,
    integrality: ArrayLike | None = ...,
    bounds: Bounds | None = ...,
    constraints: Sequence[LinearConstraint] = ...,
    options: Mapping[str, float] | None = ...,
) -> OptimizeResult: ...
def nnls(A: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], float]: ...
