"""`import hwmodel` stays cheap: what is heavy loads when it is used, not before."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Measured on two cores: scipy.optimize 0.8 s, pandas 0.8, polars 0.5, networkx 0.4, pulp 0.3.
HEAVY = ["dask", "matplotlib", "networkx", "pandas", "polars", "pulp", "scipy", "torch", "triton"]


def loaded_by(statement: str) -> set[str]:
    """Return the top-level names in sys.modules of a fresh interpreter after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.fixture(scope="module")
def loaded_by_the_face() -> set[str]:
    return loaded_by("import hwmodel")


@pytest.mark.parametrize("library", HEAVY)
def test_importing_the_face_leaves_heavy_libraries_alone(
    library: str, loaded_by_the_face: set[str]
) -> None:
    assert library not in loaded_by_the_face


def test_a_library_that_is_imported_is_seen() -> None:
    """The probe itself works: an eager import would not go unnoticed."""
    assert "networkx" in loaded_by("import hwmodel, networkx")
