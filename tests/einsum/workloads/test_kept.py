"""What a step keeps of a parameter: published bytes, and what is refused."""

import pytest

from hwmodel.einsum.workloads.kept import Kept
from hwmodel.einsum.workloads.training import training
from hwmodel.quantity.errors import InputError


def kept(**said: str) -> Kept:
    return training("llama-3.2-1b", 1024, 8, **said).kept  # pyright: ignore[reportArgumentType]


def test_bytes_of_a_parameter_are_those_that_papers_name() -> None:
    """Adam 8 bytes and a copy of 4; of 8 bits 2, and factors for each 2,048 (arXiv 2110.02861)."""
    assert kept() == Kept(4, 4, 8)
    for name in ("adam8bit", "AdamW-8bit", "adamw_8bit"):
        assert kept(optimizer=name) == Kept(4, 4, 2 + 2 * 4 / 2048)
    assert kept(optimizer="lion").states_bytes == 4
    assert kept(gradient_dtype="bfloat16", state_dtype="fp8") == Kept(2, 4, 2)
    assert kept(copy_dtype="none", optimizer="sgd") == Kept(4, 0, 0)
    assert kept(optimizer="adam-8bit", state_dtype="bf16").states_bytes == 4


def test_a_changed_step_is_read_as_a_new_one() -> None:
    step = training("llama-3.2-1b", 1024, 8)
    assert step.but(optimizer="AdamW-8bit").kept == kept(optimizer="adamw-8bit")
    assert step.but(optimizer="adam-8bit").but(optimizer="lion").kept == kept(optimizer="lion")
    with pytest.raises(InputError, match="unknown optimizer 'adan'"):
        step.but(optimizer="adan")
    with pytest.raises(InputError, match="gradient_dtype: expected a format"):
        step.but(gradient_dtype="int4")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"gradient_dtype": "fp8"}, "gradient_dtype: expected a format of 16 to 32 bits"),
        ({"state_dtype": "int3"}, "state_dtype: expected a format of 4 to 32 bits"),
        ({"copy_dtype": "fp"}, "copy_dtype: unknown dtype"),
        ({"optimizer": "adam-4bit"}, "adam-8bit"),
    ],
)
def test_what_no_number_is_kept_in_is_refused(said: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        kept(**said)
