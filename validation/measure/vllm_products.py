"""vLLM's scaled products in fp8, by the operator that its layers call, without its engine.

`cutlass_scaled_mm` of the installed vLLM, a scale for each row of the activations and each column
of the weights, output in bf16. Its library of operators is loaded by itself.
"""

# pyright: basic, reportMissingImports=false

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from hwmodel.quantity.errors import CoverageError
from hwmodel.validation.measure.arena import Carver
from hwmodel.validation.measure.shapes import Case

KERNEL = "vllm:cutlass"
OPERATORS = "_C_stable_libtorch.abi3.so"


@cache
def operator() -> Any:
    """The product, once its library is loaded."""
    found = find_spec("vllm")
    folders = (found.submodule_search_locations if found else None) or []
    libraries = [path for folder in folders if (path := Path(folder) / OPERATORS).is_file()]
    if not libraries:
        raise CoverageError(
            f"{KERNEL}: expected an installed vLLM with {OPERATORS}, found none; install vllm 0.22"
            " or measure other kernels"
        )
    torch.ops.load_library(str(libraries[0]))
    return torch.ops._C.cutlass_scaled_mm


def builder(case: Case) -> Callable[[Carver], Callable[[], torch.Tensor]]:
    """What makes the inputs and the call of a case."""
    m, n, k = (int(case.shape[name]) for name in ("M", "N", "K"))
    product = operator()

    def build(carver: Carver) -> Callable[[], torch.Tensor]:
        a = carver.take(m, k, dtype="fp8")
        b = carver.take(n, k, dtype="fp8", weight=True).t()
        scales = (torch.ones((m, 1), device=a.device), torch.ones((1, n), device=a.device))

        def call() -> torch.Tensor:
            out = torch.empty((m, n), dtype=torch.bfloat16, device=a.device)
            product(out, a, b, *scales, None)
            return out

        return call

    return build
