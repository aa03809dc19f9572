"""The names that `import hwmodel` offers: listed once, loaded lazily, never hiding a module."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import hwmodel

FACE: dict[str, tuple[str, str]] = vars(hwmodel)["_FACE"]


def test_the_public_names_are_those_of_the_lazy_table() -> None:
    assert hwmodel.__all__ == sorted(FACE)
    assert set(dir(hwmodel)) == {*FACE, "__version__"}


@pytest.mark.parametrize("name", hwmodel.__all__)
def test_each_name_loads_and_is_what_its_module_defines(name: str) -> None:
    value: Any = getattr(hwmodel, name)
    module, attribute = FACE[name]
    loaded = importlib.import_module(module)
    assert value is (getattr(loaded, attribute) if attribute else loaded)
    assert inspect.ismodule(value) or inspect.getdoc(value)


def test_no_name_is_that_of_a_submodule() -> None:
    """Importing `hwmodel.x` sets the attribute `x`, which would hide a function of that name."""
    (folder,) = map(Path, hwmodel.__path__)
    modules = {module.name for module in pkgutil.iter_modules([str(folder)])}
    folders = {path.name for path in folder.iterdir() if path.is_dir()}
    assert "cli" in modules
    assert "machines" in folders
    assert not set(FACE) & (modules | folders)


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'predicted'; it has \['Attrib"):
        getattr(hwmodel, "predicted")  # noqa: B009
