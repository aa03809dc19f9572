"""Torch's choice of attention backends is global: each test gets it back as it was."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

BACKENDS = ("math", "mem_efficient", "flash", "cudnn")


@pytest.fixture(autouse=True)
def attention_backends() -> Iterator[None]:
    """Turn every backend on again after a test that may have turned some off."""
    yield
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        for name in BACKENDS:
            getattr(torch.backends.cuda, f"enable_{name}_sdp")(True)
