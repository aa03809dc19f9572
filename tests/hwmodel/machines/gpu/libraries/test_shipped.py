"""Which library runs what: names, values, importable names, choices by family."""

import pickle
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import CATALOGUE, load_calibration
from hwmodel.machines.gpu.libraries.library import Kernel, priors
from hwmodel.machines.gpu.libraries.shipped import SHIPPED, family_of, library, parsed
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from tests.toy_library import NAME, PRODUCTS, TOY

STEP = hw.model("qwen3-8b").prefill(1, 512)
HEADS: dict[str, Any] = {"batch": 2, "heads": 8, "keys": 1024, "head_dim": 64}


def runs(kernel: Kernel, work: Any = STEP) -> dict[str, str]:
    """Schedule -> library that ran it."""
    parts = hw.predict(work, "h200", kernel=kernel).parts
    return dict(part.family.split(":") for part in parts)


TORCH = {"rows": "torch", "gemm": "cublas", "prefill": "flash-attention-2"}


@pytest.mark.parametrize(
    ("kernel", "changed"),
    [
        (None, {}),
        ("torch", {}),
        ({"attention": "cudnn"}, {"prefill": "cudnn"}),
        ("attention=cudnn", {"prefill": "cudnn"}),
        ({"decode": "cudnn"}, {}),
        ({"gemm": "triton", "rows": TOY}, {"gemm": "triton", "rows": "toy"}),
        (f"gemm=triton, rows={NAME}", {"gemm": "triton", "rows": "toy"}),
    ],
)
def test_families_that_are_not_chosen_are_torchs(kernel: Kernel, changed: dict[str, str]) -> None:
    assert runs(kernel) == TORCH | changed


def test_a_choice_predicts_what_the_library_does_alone() -> None:
    work = hw.workloads.attention(**HEADS, queries=1024)
    alone = hw.predict(work, "h200", kernel="cudnn")
    assert hw.predict(work, "h200", kernel={"attention": "cudnn"}).time_s == alone.time_s
    assert hw.predict(work, "h200", kernel=SHIPPED["cudnn"]).time_s == alone.time_s
    assert hw.predict(work, "h200").time_s != alone.time_s


def test_a_stack_calls_libraries_by_name_and_by_value() -> None:
    assert runs(PRODUCTS, hw.workloads.gemm(M=64, N=64, K=64)) == {"gemm": "cublas"}
    assert runs(PRODUCTS, hw.workloads.add(rows=64, cols=64)) == {"rows": "toy"}


def test_a_library_that_is_chosen_for_what_it_lacks_is_refused() -> None:
    decode = hw.workloads.attention(**HEADS, queries=1)
    with pytest.raises(CoverageError, match=r"\{'attention': 'flash-attention-4'\} has no decode"):
        hw.predict(decode, "b200", kernel={"attention": "flash-attention-4"})


@pytest.mark.parametrize(
    ("kernel", "error", "said"),
    [
        ("cudn", UnknownNameError, "unknown kernel 'cudn'.*cudnn"),
        ({"attention": "cudn"}, UnknownNameError, "unknown kernel 'cudn'"),
        ({"softmax": "cudnn"}, UnknownNameError, "unknown family of kernels.*rows"),
        ("attention=", InputError, "expected family=library, found 'attention='"),
        ("gemm=cublas,gemm=triton", InputError, "gemm is chosen twice"),
        ("nowhere:TOY", InputError, "module:NAME.*nowhere"),
        ("tests.toy_library:TOYS", InputError, "TOYS"),
        ("tests.toy_library:NAME", InputError, "expected a Library, found"),
        (3, InputError, "a table of them by family"),
        ({"gemm": 3}, InputError, "expected a library or its name, found 3"),
    ],
)
def test_what_is_no_library_is_told(kernel: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        hw.predict(hw.workloads.gemm(M=8, N=8, K=8), "h200", kernel=kernel)


def test_other_machines_take_names_alone() -> None:
    with pytest.raises(InputError, match="expected a name on peer-a2"):
        hw.predict(hw.workloads.gemm(M=8, N=8, K=8, dtype="int8"), "peer-a2", kernel={"gemm": "x"})


def test_text_of_a_choice() -> None:
    assert parsed("attention=cudnn, rows=a.b:C") == {"attention": "cudnn", "rows": "a.b:C"}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_library_is_what_its_name_says_also_in_another_process(name: str) -> None:
    assert library(name).name == name
    again = pickle.loads(pickle.dumps(SHIPPED[name]))
    assert again.families == SHIPPED[name].families
    assert again.priors == SHIPPED[name].priors


def test_parameters_are_fitted_then_the_librarys_then_borrowed_then_the_schedules() -> None:
    measured = load_calibration(CATALOGUE / "calibration" / "h200.yaml")
    none = load_calibration(CATALOGUE / "calibration" / "uncalibrated.yaml")
    assert family_of(measured, "decode:cudnn").origin == "measured"
    assert family_of(none, "decode:cudnn").parameters["matrix"].value == 0.2
    assert family_of(none, "rows:toy", TOY).interval == (0.5, 2.5)
    lent = family_of(measured, "decode:quantised")
    assert lent.parameters == measured.families["decode:cudnn"].parameters
    assert lent.origin == "prior"
    assert family_of(none, "gemm:cublas") == none.families["gemm"]


def test_priors_are_read_line_by_line() -> None:
    parameter = TOY.priors["rows"].parameters["dram"]
    assert (parameter.value, parameter.low, parameter.high) == (0.9, 0.4, 1.0)
    assert parameter.meaning == "share of the datasheet's DRAM bandwidth"
    with pytest.raises(InputError, match=r"expected 'name = value in low .. high: ...', found"):
        priors("dram: 0.9")


def test_libraries_are_loaded_by_the_names_that_they_have() -> None:
    assert [SHIPPED[name].name for name in SHIPPED] == list(SHIPPED)
