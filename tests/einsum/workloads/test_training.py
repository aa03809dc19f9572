"""A step of training as a value: what it holds, what changes, what it refuses."""

from typing import Any

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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("adapters", 1.5), ("mtp", 1.5), ("every", 1.5), ("forwards", 0), ("backwards", 0.5),
        ("sequence", 0), ("global_batch", 10**9), ("devices", 10**9), ("mtp", 10**9),
        ("state_dtype", ""),
    ],
)  # fmt: skip
def test_counts_that_are_none_are_refused_by_their_field(field: str, value: object) -> None:
    given: dict[str, Any] = {"sequence": 1024, "global_batch": 16, field: value}
    with pytest.raises(InputError, match=f"training: {field}: "):
        training("llama-3.2-1b", **given)


def test_no_more_layers_are_computed_again_than_a_chunk_has() -> None:
    step = training("llama-3.2-1b", 1024, 16, devices=8, pp=2, recompute="full")
    hw.predict(step.but(recompute_layers=8), on="h100")
    with pytest.raises(InputError, match="recompute_layers: expected at most the 8 layers"):
        hw.predict(step.but(recompute_layers=9), on="h100")
