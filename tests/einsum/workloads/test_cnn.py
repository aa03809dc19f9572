"""Networks for small devices: published multiply-accumulates and parameters, refusals."""

import pytest

from hwmodel.einsum.counts import flops
from hwmodel.einsum.workloads.cnn import cnn, network
from hwmodel.quantity.errors import InputError, UnknownNameError


@pytest.mark.parametrize(
    ("name", "macs_m", "tolerance"),
    [
        pytest.param("mobilenetv2", 300, 0.01, id="MobileNetV2 table 4: 300 M"),
        pytest.param("proxyless-mobile", 320, 0.01, id="ProxylessNAS, mobile: 320 M"),
        pytest.param("mcunet-vww1", 11.6, 0.005, id="MCUNet model zoo: 11.6 M"),
        pytest.param("mcunet-in2", 67.3, 0.005, id="MCUNet model zoo: 67.3 M"),
    ],
)
def test_multiply_accumulates_are_the_published_ones(
    name: str, macs_m: float, tolerance: float
) -> None:
    assert network(name, None, 1.0, None).macs / 1e6 == pytest.approx(macs_m, rel=tolerance)


def test_mobilenetv2_has_its_parameters() -> None:
    """torchvision: 3,504,872 in all, of which 34,112 of batch norms and 1,000 biases."""
    made = network("mobilenetv2", 224, 1.0, None)
    assert made.weights == 3_504_872 - 34_112 - 1_000


def test_the_stack_asks_for_two_operations_a_mac() -> None:
    made = cnn("mcunet-vww1")
    asked = sum(stage.times * flops(stage.cascade) for stage in made.stages[1:])
    macs = network("mcunet-vww1", None, 1.0, None).macs
    assert 2 * macs <= asked <= 2.01 * macs  # sums of residuals on top


def test_the_first_stage_brings_the_image() -> None:
    assert [stage.name for stage in cnn("mcunet-vww1").stages[:2]] == ["image", "0.conv3"]


def test_widths_keep_channels_at_multiples_of_eight_and_not_far_below() -> None:
    made = network("mobilenetv2", 144, 0.35, None)
    assert all(layer.filters % 8 == 0 for layer in made.layers if layer.kind == "conv")
    assert made.layers[0].filters == 16  # 11.2, of which 8 is more than a tenth short


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"network": "mobilnetv2"}, r"did you mean 'mobilenetv2'"),
        ({"network": "mcunet-in2", "width": 0.5}, r"width: mcunet-in2 was found at one width"),
        ({"resolution": 0}, r"cnn: resolution: expected a number above 0"),
        ({"patches": 4, "split": 8}, r"split: expected a number of layers after which one map"),
        ({"patches": 29, "split": 13}, r"patches: expected 1 to 28 in each direction"),
        ({"patches": 2, "split": -1}, r"split: expected a number of layers, 0 or more"),
        ({"width": -1.0}, r"width: expected a number above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, int | str], words: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=words):
        cnn(**arguments)  # pyright: ignore[reportArgumentType]
