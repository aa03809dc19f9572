"""The five folders are one package: links, build metadata and imports agree."""

import ast
import fnmatch
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import hwmodel

ROOT = Path(__file__).resolve().parent.parent
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
PACKAGES: list[str] = SETUPTOOLS["packages"]
PACKAGE_DATA: dict[str, list[str]] = SETUPTOOLS["package-data"]
FOLDERS = {name: ROOT / folder for name, folder in SETUPTOOLS["package-dir"].items()}
SISTERS = {
    name.removeprefix("hwmodel."): folder for name, folder in FOLDERS.items() if name != "hwmodel"
}

# A tree of data files below a package belongs to that package: `hwmodel validate` reads the rows.
DATA_TREES = {"hwmodel.validation.data": "hwmodel.validation"}
DOCUMENTS = {".md"}


def contents() -> dict[str, list[Path]]:
    """Return the files of each package, by dotted name, read from the five real folders."""
    found: dict[str, list[Path]] = {}
    for name, top in FOLDERS.items():
        for folder in [top, *(path for path in top.rglob("*") if path.is_dir())]:
            steps = folder.relative_to(top).parts
            package = ".".join([name, *steps])
            in_a_sister = name == "hwmodel" and bool(steps) and steps[0] in SISTERS
            if in_a_sister or "__pycache__" in steps:
                continue
            tree = next((t for t in DATA_TREES if f"{package}.".startswith(f"{t}.")), None)
            package = package if tree is None else DATA_TREES[tree]
            files = [
                path
                for path in sorted(folder.iterdir())
                if path.is_file() and path.suffix not in DOCUMENTS and path.name[0] != "."
            ]
            if files:
                found[package] = found.get(package, []) + files
    return found


def modules() -> list[str]:
    """Return the dotted name of every module but `hwmodel.__main__`, which runs when imported."""
    return [
        f"{package}.{path.stem}".removesuffix(".__init__")
        for package, files in contents().items()
        for path in files
        if path.suffix == ".py" and path.stem != "__main__"
    ]


@pytest.mark.parametrize("name", SISTERS)
def test_link_and_build_metadata_name_the_same_folder(name: str) -> None:
    link = ROOT / "hwmodel" / name
    assert link.is_symlink(), f"{link} is no link: git config core.symlinks true, then check out"
    assert not link.readlink().is_absolute()
    assert link.resolve() == SISTERS[name]


@pytest.mark.parametrize("name", SISTERS)
def test_folder_never_shadows_an_installed_package(name: str) -> None:
    """PEP 420: without `__init__.py`, an installed `kernels` wins over ./kernels."""
    assert not list(SISTERS[name].rglob("__init__.py"))


def test_a_folder_says_what_it_is_for_and_only_the_face_holds_code() -> None:
    """Else the check of floors would not see the folder (grimp passes over plain namespaces)."""
    own = ROOT / "hwmodel"
    inside = (f for f in own.iterdir() if f.is_dir() and not f.is_symlink())
    folders = {p.parent for folder in inside for p in folder.rglob("*.py")}
    for folder in folders:
        said = ast.parse((folder / "__init__.py").read_text())
        assert ast.get_docstring(said), folder
        assert len(said.body) == 1, folder


def test_build_metadata_lists_every_folder_that_holds_modules_or_data() -> None:
    missing = set(contents()) - set(PACKAGES)
    assert not missing, f"add to [tool.setuptools] packages in pyproject.toml: {sorted(missing)}"


def test_build_metadata_lists_each_package_once() -> None:
    assert len(PACKAGES) == len(set(PACKAGES))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_listed_package_has_a_folder_with_files(package: str) -> None:
    """A listed package without a folder stops the build of the wheel; git drops empty ones."""
    home = max((name for name in FOLDERS if f"{package}.".startswith(f"{name}.")), key=len)
    folder = FOLDERS[home].joinpath(*package.removeprefix(home).strip(".").split("."))
    has_files = folder.is_dir() and any(path.is_file() for path in folder.iterdir())
    assert has_files, f"remove {package} from packages in pyproject.toml, or fill {folder}"


def test_build_metadata_ships_every_data_file() -> None:
    missing = [
        path.relative_to(ROOT).as_posix()
        for package, files in contents().items()
        for path in files
        if path.suffix != ".py"
        and not any(
            fnmatch.fnmatch(f"/{path}", f"*/{glob}") for glob in PACKAGE_DATA.get(package, [])
        )
    ]
    assert not missing, f"add a glob to [tool.setuptools.package-data]: {missing}"


def test_no_module_is_loaded_under_two_names() -> None:
    """Modules that need what is absent (torch, timm) may fail to load; bare names may not."""
    code = f"""
import importlib, sys
ABSENT = ("torch", "triton", "pynvml", "dask", "timm")
for name in {modules()!r}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as absent:
        if (absent.name or "").split(".")[0] not in ABSENT:
            raise
print([name for name in {list(SISTERS)} if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.stdout == "[]\n", run.stderr


def test_the_citation_names_the_version_that_it_cites() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == hwmodel.__version__
