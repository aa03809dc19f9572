"""The names that `import hwmodel` offers: listed once, loaded lazily, never hiding a module."""

import importlib
import inspect
import pickle
import pkgutil
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import hwmodel
from hwmodel.machines.driver import predict
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.verbs.ask import VERBS, question
from hwmodel.whatif.explanation import explain
from hwmodel.whatif.sensitivity import sensitivity
from tests.face_stub import STUB, stub

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
    with pytest.raises(AttributeError, match=r"'predicted' \(did you mean 'predict'"):
        getattr(hwmodel, "predicted")  # noqa: B009


def test_what_type_checkers_read_is_what_the_records_declare() -> None:
    assert STUB.read_text() == stub(), "python -m tests.face_stub"


RECORDED = [name for name in FACE if name in VERBS and FACE[name][0] == VERBS[name].split(":")[0]]


def test_every_verb_that_answers_in_python_is_declared_by_its_record() -> None:
    """Apart: devices are listed by name, pictures are drawn of answers, sweeps call a function."""
    assert set(VERBS) & set(FACE) - set(RECORDED) == {"devices", "plot", "sweep"}
    assert len(RECORDED) == 17


@pytest.mark.parametrize("name", RECORDED)
def test_a_functions_parameters_are_fields_of_the_record(name: str) -> None:
    kind, function = question(name), getattr(hwmodel, name)
    fields = kind.model_fields
    for parameter in signature(function).parameters.values():
        assert parameter.annotation == fields[parameter.name].annotation
        if parameter.default is not parameter.empty:
            assert parameter.default == fields[parameter.name].default
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.parametrize("engine", [predict, sensitivity, explain])
def test_engines_below_the_verbs_take_what_the_records_say(engine: Any) -> None:
    asked = signature(getattr(hwmodel, engine.__name__)).parameters.values()
    known = [(p.kind, p.default) for p in signature(engine).parameters.values()]
    assert [(p.kind, p.default) for p in asked] == known


def test_arguments_are_refused_by_name() -> None:
    gemm = hwmodel.workloads.gemm(M=64, N=64, K=64)
    strange: Any = {"kernal": "torch"}
    with pytest.raises(UnknownNameError, match=r"unknown argument of predict 'kernal'"):
        hwmodel.predict(gemm, "h200", **strange)
    with pytest.raises(InputError, match=r"predict: expected workload, on, kernel, parallel"):
        hwmodel.predict(gemm)  # pyright: ignore[reportCallIssue]
    wrong: Any = {"swing": "much"}
    with pytest.raises(InputError, match="sensitivity: swing: expected a number, found 'much'"):
        hwmodel.sensitivity(gemm, "h200", **wrong)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("device", {"x": 3}, "unknown argument of device 'x'"),
        ("devices", {"x": 3}, "unknown argument of devices 'x'"),
        ("parse", {}, "parse: expected text, .* found missing"),
        ("sweep", {}, "sweep: expected function, .* found missing"),
        ("open_sweep", {}, "open_sweep: expected folder; found missing"),
        ("each", {}, "each: expected values; found missing"),
    ],
)
def test_other_functions_name_arguments_too(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        getattr(hwmodel, name)(**given)
