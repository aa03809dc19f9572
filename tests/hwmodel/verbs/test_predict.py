"""`predict`: what it refuses, what several devices mean, which stack an answer is of."""

import json
from typing import Any

import pytest
from numpy.testing import assert_allclose

import hwmodel
from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.verbs.cases import predict_lines

H200 = device("h200")
STEP = hwmodel.model("llama-3.1-70b").decode(batch=8, context=2048)
GEMM = hwmodel.workloads.gemm(M=64, N=64, K=64)


def test_a_model_that_one_device_cannot_hold_fits_on_two() -> None:
    """141 GB of weights: 141 GB less a tenth are too few, twice that are enough."""
    alone, both = hwmodel.predict(STEP, on=H200), hwmodel.predict(STEP, on=H200 * 2)
    assert alone.serving is not None
    assert both.serving is not None
    assert not alone.serving.memory.fits
    assert both.serving.memory.fits
    assert both.time_s < alone.time_s


def test_memory_is_that_of_the_devices_that_divide_the_model() -> None:
    """Two of eight devices hold what a machine of two holds."""
    part = hwmodel.predict(STEP, on=H200 * 8, parallel={"tp": 2})
    whole = hwmodel.predict(STEP, on=H200 * 2)
    assert part.serving is not None
    assert whole.serving is not None
    assert part.serving.memory.capacity_bytes == int(2 * 139.8 * 2**30)
    assert part.serving.memory.largest_batch == whole.serving.memory.largest_batch


def test_all_devices_divide_a_model_unless_told_otherwise() -> None:
    told = hwmodel.predict(STEP, on=H200 * 4, parallel={"tp": 4})
    assert_allclose(hwmodel.predict(STEP, on=H200 * 4).time_s, told.time_s)
    assert told.devices == 4


@pytest.mark.parametrize(
    ("parallel", "said"),
    [
        ({"tp": 0}, "tp: expected a number above 0, found 0"),
        ({"tp": 1.5}, "tp: expected a whole number"),
        ({"tp": "2"}, "tp: expected a plain number, found '2'"),
        ({"tp": True}, "tp: expected a number, found True"),
        ({"tp": 3}, "expected a divisor of num_attention_heads"),
        ({"tp": 16}, "tp=16 needs 16 devices"),
        ({"pp": 3}, "expected a divisor of the 8 devices, or tp with it, found pp=3"),
        ({"tp": 2, "pp": 8}, "tp=2, pp=8 needs 16 devices"),
        ({"tp": 8, "vp": 2}, "vp=2 is of a step of training"),
        (
            {"tp": 8, "ep": 8},
            "ep: expected a model with experts, over which ep divides; found ep=8",
        ),
        ({"pq": 2}, "unknown kind of parallelism 'pq'"),
        (8, "expected a table"),
    ],
)
def test_a_division_that_cannot_be_is_refused(parallel: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        hwmodel.predict(STEP, on=H200 * 8, parallel=parallel)


def test_a_lone_cascade_is_not_divided() -> None:
    with pytest.raises(CoverageError, match="not a lone cascade"):
        hwmodel.predict(GEMM, on=H200 * 2)


@pytest.mark.parametrize("given", ["gemm", None, hwmodel.model("llama-3.2-1b")])
def test_what_is_no_workload_is_refused_with_what_is(given: Any) -> None:
    with pytest.raises(InputError, match=r"expected a workload such as .*decode"):
        hwmodel.predict(given, on=H200)


def test_a_machine_that_no_model_covers_is_refused() -> None:
    with pytest.raises(CoverageError, match="microcontrollers run convolutional networks"):
        hwmodel.predict(GEMM, on=H200.but(kind="mcu"))
    with pytest.raises(UnknownNameError, match="did you mean 'h200'"):
        hwmodel.predict(GEMM, on="h2000")


def test_a_power_limit_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"power limit: .*found 50 W"):
        hwmodel.predict(GEMM, on=H200.but(power={"limit": "50 W"}))


@pytest.mark.parametrize(
    ("on", "workload", "named"),
    [
        ("h200", STEP, "torch, plain and unfused; rows by torch, gemm by cublas, decode by flash"),
        ("h200", GEMM, "lone kernels, no engine; gemm by cublas (driver 580"),
        ("b200", GEMM, "gemm by cublas, of no version that was measured here"),
        ("fusemax", hwmodel.workloads.attention(1, 12, 1024, 1024, 64), "the array alone"),
        ("raspberry-pi-4", GEMM, "no library in particular"),
        ("zcu102", GEMM, "an engine of our own"),
        ("stm32h743", hwmodel.workloads.cnn("mobilenetv2"), "TinyEngine"),
    ],
)
def test_every_answer_names_the_stack_that_it_is_of(on: str, workload: Any, named: str) -> None:
    (told,) = [a for a in hwmodel.predict(workload, on).assumptions if a.startswith("stack: ")]
    assert named in told


def test_the_stack_of_devices_that_share_a_model_has_their_collectives() -> None:
    told = hwmodel.predict(STEP, H200 * 2).assumptions
    assert any("collective by NCCL" in each for each in told)
    assert any("90 % interval" in each and "other engines" in each for each in told)


def test_a_context_beyond_the_models_positions_is_told_point_by_point() -> None:
    llama = hwmodel.model("llama-3.1-8b")
    inside = hwmodel.predict(llama.decode(1, 131072), "h200")
    assert not any("beyond" in words for words in inside.warnings)
    beyond = hwmodel.predict(llama.prefill(1, 2**20), "h200").warnings
    assert any("a context of 1,048,576 tokens is beyond the 131,072" in words for words in beyond)
    line = {"workload": "llm", "config": "llama-3.1-8b", "phase": "decode", "batch": 1}
    lines = [json.dumps(line | {"context": n, "on": "h200"}) for n in (4096, 200_000)]
    short, long = predict_lines(lines)
    assert not any("beyond the" in words for words in short["warnings"])
    assert any("a context of 200,000 tokens is beyond the" in words for words in long["warnings"])


def test_what_changes_nothing_is_told() -> None:
    llm = hwmodel.model("llama-3.2-1b", ignore_keys=["hidden_sise"])
    found = hwmodel.predict(
        llm.decode(2, 64, routing="balanced"), "h200", parallel={"ends": "whole"}
    )
    told = " ".join(found.warnings)
    assert "unknown key to ignore 'hidden_sise' (did you mean 'hidden_size'?)" in told
    assert "routing=balanced changes nothing without experts" in told
    assert "ends=whole changes nothing where tp is 1" in told
