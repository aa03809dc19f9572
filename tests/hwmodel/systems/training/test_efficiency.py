"""What stands for devices and formats of which no step was published."""

import pytest

from hwmodel.systems.training.efficiency import Key, nearest, software

FOUND: dict[Key, float] = {
    ("megatron", "b200", "fp8"): 0.9,
    ("megatron", "b300", "fp8"): 1.1,
    ("megatron", "gb200", "fp8"): 1.0,
    ("megatron", "b200", "bf16"): 0.7,
    ("fsdp", "h100", "fp8"): 0.8,
}


@pytest.mark.parametrize(
    ("device", "precision", "generation", "wanted"),
    [
        ("gb300", "fp8", "blackwell", ("megatron", "gb200", "fp8")),
        ("b300", "nvfp4", "blackwell", ("megatron", "b300", "fp8")),
        ("b300", "fp8 beside adapters", "blackwell", ("megatron", "b300", "fp8")),
        ("h200", "fp8", "hopper", None),
    ],
)
def test_the_same_format_of_a_generation_comes_before_others_of_the_device(
    device: str, precision: str, generation: str, wanted: Key | None
) -> None:
    assert nearest(FOUND, ("megatron", device, precision), generation) == wanted


def test_an_answer_says_whose_number_it_takes() -> None:
    fitted = software("megatron", "h100", "hopper", "fp8")
    other = software("megatron", "h200", "hopper", "fp8")
    assert other.share == fitted.share
    assert "as on h100 in fp8" in other.source
    assert software("megatron", "a100", "ampere", "bf16").share == 1.0
    assert software("fsdp", "h100", "hopper", "bf16", together=True).together
    assert not software("megatron", "h100", "hopper", "bf16", together=True).together
    assert software("fsdp", "h100", "hopper", "bf16").exposed == 1
