"""A step of training as a value: what it holds, what changes, what it refuses."""

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.training import training
from hwmodel.quantity.errors import InputError, UnknownNameError


def test_arguments_of_an_execution_are_kept_as_such_and_change_one_by_one() -> None:
    step = training("llama-3.1-8b", 4096, 64, tp=2, recompute="full")
    assert step.parallel == {"tp": 2, "recompute": "full", "global_batch": 64}
    other = step.but(tp=4, sequence=8192)
    assert (other.parallel["tp"], other.sequence, other.precision) == (4, 8192, "bf16")
    assert hw.model("llama-3.1-8b").training(4096, 64, tp=2, recompute="full") == step


def test_experts_are_on_one_device_each_unless_said() -> None:
    assert training("mixtral-8x7b", 4096, 64, tp=2, ep=8).parallel["etp"] == 1
    assert training("mixtral-8x7b", 4096, 64, tp=2, ep=4, etp=2).parallel["etp"] == 2


def test_what_makes_no_sense_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="optimizer"):
        training("llama-3.1-8b", 4096, 64, optimizer="adan")
    with pytest.raises(InputError, match="dtype"):
        training("llama-3.1-8b", 4096, 64, dtype="int7")
    with pytest.raises(InputError, match="attention: expected flash or core"):
        training("llama-3.1-8b", 4096, 64, attention="ring")
    with pytest.raises(InputError, match="dispatch"):
        training("llama-3.1-8b", 4096, 64, dispatch="twice")
    with pytest.raises(InputError, match="scales"):
        training("llama-3.1-8b", 4096, 64, scales="column")
    with pytest.raises(UnknownNameError, match="squence"):
        training("llama-3.1-8b", 4096, 64).but(squence=1)


def test_a_format_says_what_its_factors_are_for() -> None:
    assert training("llama-3.1-8b", 4096, 64, dtype="fp8").format == "fp8"
    assert training("llama-3.1-8b", 4096, 64, dtype="fp8", scales="row").format == "fp8 by row"


@pytest.mark.parametrize(
    ("said", "precision", "scales"),
    [
        ("MXFP8", "fp8", "block"),
        ("FP8", "fp8", "tensor"),
        ("bfloat16", "bf16", "tensor"),
        ("fp4", "nvfp4", "tensor"),
        ("amp_fp8", "fp8", "tensor"),
    ],
)
def test_formats_go_by_the_names_that_tables_have(said: str, precision: str, scales: str) -> None:
    step = training("llama-3.1-8b", 4096, 64, dtype=said)
    assert (step.precision, step.scales, step.format) == (precision, scales, precision)
    assert hw.model("llama-3.1-8b").training(4096, 64, dtype=said) == step
