"""Settings for all tests: the same inputs each time, and no GPU test without a GPU."""

import importlib
import importlib.util
import os
import tempfile
from typing import Any

import pytest

# Devices of whoever runs the tests are none of theirs, nor is what their commands keep.
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="hwmodel-tests-")
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="hwmodel-tests-")

if importlib.util.find_spec("hypothesis"):  # absent on a bare GPU machine
    from hypothesis import settings

    settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
    settings.load_profile("repeatable")


def has_gpu() -> bool:
    """Return whether torch is installed and sees a CUDA device."""
    if not importlib.util.find_spec("torch"):
        return False
    torch: Any = importlib.import_module("torch")
    return bool(torch.cuda.is_available())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is none; torch loads only if one was collected."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not has_gpu():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs torch and a CUDA device"))
