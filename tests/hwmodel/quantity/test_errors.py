"""One family of errors, each with the exit status of its kind."""

import pickle

import pytest

from hwmodel.quantity.errors import (
    CapacityError,
    CoverageError,
    HwmodelError,
    InputError,
    SolverError,
    UnknownNameError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HwmodelError("x"), 1),
        (InputError("x"), 2),
        (UnknownNameError("device", "x", ["h200"]), 2),
        (CoverageError("x"), 2),
        (CapacityError("x"), 3),
        (SolverError("x"), 3),
    ],
)
def test_exit_status(error: HwmodelError, status: int) -> None:
    assert isinstance(error, HwmodelError)
    assert error.exit_status == status


def test_unknown_names_list_what_exists() -> None:
    error = UnknownNameError("device", "h20", ["h200", "a100"])
    assert str(error) == "unknown device 'h20' (did you mean 'h200'?); known: a100, h200"
    assert error.known == ("a100", "h200")
    many = UnknownNameError("model", "lama", ["llama", "llama4", "mamba", "gpt2"], listed="see x")
    assert str(many) == "unknown model 'lama' (did you mean 'llama' or 'llama4'?); see x"
    assert len(many.known) == 4
    more = UnknownNameError("device", "q", [f"machine-{n:02}" for n in range(30)])
    said = "30 are known, such as machine-00, machine-01, machine-02; `hwmodel devices` lists them"
    assert str(more) == f"unknown device 'q'; {said}"
    assert str(UnknownNameError("device", "q", [])) == "unknown device 'q'; known: none"


def test_bad_input_is_a_value_error_too() -> None:
    assert issubclass(InputError, ValueError)


def family(kind: type[HwmodelError]) -> list[type[HwmodelError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in family(child))]


@pytest.mark.parametrize("kind", family(HwmodelError))
def test_every_error_survives_the_way_from_a_worker(kind: type[HwmodelError]) -> None:
    made = kind("kernel", "x", ["y"]) if kind is UnknownNameError else kind("a: b expected")
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is kind
    assert (str(again), again.exit_status) == (str(made), made.exit_status)
    assert vars(again) == vars(made)


def test_names_of_any_kind_and_length_are_named() -> None:
    assert str(UnknownNameError("phase", ["decode"], ["decode"])).startswith(
        "unknown phase ['decode']"
    )
    assert "(1000002 characters)" in str(UnknownNameError("phase", "x" * 10**6, ["decode"]))
    assert "a whole number of some 5000 digits" in str(UnknownNameError("phase", 10**5000, ["a"]))
