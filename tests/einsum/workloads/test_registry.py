"""Architectures are found by their files, and imported only when they are read."""

import subprocess
import sys

import pytest

from hwmodel.einsum.workloads.registry import FOLDER, architectures, record


def test_every_file_reads_at_least_one_model_type() -> None:
    """But the one that says, by model type, what stands between a tower of images and the text."""
    files = {path.stem for path in FOLDER.glob("*.py")}
    assert set(architectures().values()) == files - {"projectors"}


@pytest.mark.parametrize("model_type", architectures())
def test_every_record_is_documented_and_its_module_names_it(model_type: str) -> None:
    kind = record(model_type)
    module = sys.modules[kind.__module__]
    assert model_type in module.MODEL_TYPES
    assert module.__doc__
    assert kind.__doc__


def test_knowing_the_architectures_imports_none_of_them() -> None:
    code = (
        "import sys; from hwmodel.einsum.workloads.registry import architectures;"
        "assert 'llama' in architectures();"
        "print([m for m in sys.modules if 'workloads.architectures.' in m])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
