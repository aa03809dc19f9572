import numpy as np
from numpy.typing import ArrayLike, NDArray

class csr_matrix:
    T: csr_matrix
    def __init__(
        self,
        entries: tuple[ArrayLike, tuple[ArrayLike, ArrayLike]],
        *,
        shape: tuple[int, int],
    ) -> None: ...
    def __matmul__(self, other: NDArray[np.float64]) -> NDArray[np.float64]: ...
