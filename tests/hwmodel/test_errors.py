"""One family of errors, each with the exit status of its kind."""

import pytest

from hwmodel.errors import (
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
    assert str(UnknownNameError("device", "q", [])) == "unknown device 'q'; known: none"


def test_bad_input_is_a_value_error_too() -> None:
    assert issubclass(InputError, ValueError)
