"""What the tests of kernels share: fresh random operands, poisoned outputs, one measure of error.

Without a GPU they run under Triton's interpreter, which must be switched on before Triton loads.
"""

# pyright: basic, reportMissingImports=false

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import pytest

HAS_TRITON = all(importlib.util.find_spec(name) for name in ("torch", "triton"))
if HAS_TRITON:
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")


def device() -> str:
    """Where kernels run: the GPU, or the CPU under the interpreter."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def draw() -> Callable[..., Any]:
    """Standard normal tensors in a named format, seeded for each test."""
    generator = torch.Generator().manual_seed(20260101)
    kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    kinds["fp8"] = torch.float8_e4m3fn

    def normal(*shape: int, dtype: str = "fp32") -> torch.Tensor:
        drawn = torch.randn(*shape, generator=generator, dtype=torch.float32)
        return drawn.to(kinds[dtype]).to(device())

    return normal


@pytest.fixture
def poison() -> Callable[..., Any]:
    """A tensor of NaN, so that an element that no kernel writes is seen."""

    def nan(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.full(shape, float("nan"), dtype=dtype, device=device())

    return nan


@pytest.fixture
def error() -> Callable[..., float]:
    """||out - reference|| / ||reference||, in float64; NaN where out has one."""

    def relative(out: torch.Tensor, expected: torch.Tensor) -> float:
        out64, expected64 = out.double().cpu(), expected.double().cpu()
        assert out64.shape == expected64.shape
        return float((out64 - expected64).norm() / expected64.norm())

    return relative


class Recorder:
    """Stands in for a kernel: forwards each launch, and keeps its grid and its arguments."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.launches: list[tuple[tuple[int, ...], dict[str, Any]]] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., Any]:
        def launch(*operands: Any, **constants: Any) -> Any:
            self.launches.append((grid, constants))
            return self.kernel[grid](*operands, **constants)

        return launch


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Recorder]:
    """Replaces a kernel of a module by a recorder of its launches."""

    def replace(module: Any, name: str) -> Recorder:
        recorder = Recorder(getattr(module, name))
        monkeypatch.setattr(module, name, recorder)
        return recorder

    return replace
