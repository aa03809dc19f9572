"""Settings for all tests: the same inputs each time, and no GPU test without a GPU."""

import atexit
import gc
import importlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

# Devices of whoever runs the tests are none of theirs, nor is what their commands keep.
for home in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
    os.environ[home] = tempfile.mkdtemp(prefix="hwmodel-tests-")
    atexit.register(shutil.rmtree, os.environ[home], ignore_errors=True)

ROOT = Path(__file__).resolve().parents[1]
TOGETHER = ("tests/validation/", "tests/hwmodel/verbs/test_validate.py", "tests/docs/")
"""Run first, in this order. Processes of pytest-xdist take long runs of tests at the beginning and
short ones at the end: these share what takes seconds (measured rows and all that is predicted of
them, fits, reports), which each process that has some of them works out anew."""

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


def _place(item: pytest.Item) -> int:
    """Where a test's file stands among those that run first."""
    path = item.path.relative_to(ROOT).as_posix()
    return next((at for at, each in enumerate(TOGETHER) if path.startswith(each)), len(TOGETHER))


def pytest_collection_finish() -> None:
    """Leave thousands of collected tests out of each search for garbage from here on."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests, and skip those marked `gpu` where there is none.

    Torch loads only if one of these was collected.
    """
    items.sort(key=_place)
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not has_gpu():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs torch and a CUDA device"))
