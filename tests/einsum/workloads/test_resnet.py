"""Residual networks and BottleFit: published counts, and maps that fit together."""

import pytest

from hwmodel.einsum.workloads.layer import Network
from hwmodel.einsum.workloads.resnet import BLOCKS, CUT, bottlefit, resnet
from hwmodel.quantity.errors import InputError, UnknownNameError

# Multiply-accumulates and parameters of the released models (torchvision), the latter less their
# batch norms and biases: 2 x 26,560 + 1,000 for ResNet-50 (25,557,032 in all).
NETWORKS = [("resnet50", 4.09e9, 25_557_032 - 2 * 26_560 - 1000), ("resnet152", 11.51e9, None)]


@pytest.mark.parametrize(("name", "macs", "weights"), NETWORKS)
def test_networks_have_the_counts_of_the_released_models(
    name: str, macs: float, weights: int | None
) -> None:
    made = resnet(name)
    assert made.macs == pytest.approx(macs, rel=1e-3)
    assert weights is None or made.weights == weights


@pytest.mark.parametrize(
    "network", [*map(resnet, BLOCKS), bottlefit(3)], ids=["50", "101", "152", "bottlefit"]
)
def test_every_layer_reads_maps_of_the_shape_that_was_made(network: Network) -> None:
    layers = network.layers
    for layer in layers:
        for at in layer.inputs:
            side, wide = (layers[at].out_height, layers[at].filters) if at >= 0 else (224, 3)
            assert (layer.height, layer.channels) == (side, wide), layer.name


def test_bottlefit_has_the_published_head() -> None:
    """12 channels: 12,480 weights, 120.6 million of 11.5 billion multiply-accumulates: 1.05 %."""
    head = bottlefit(12).layers[:3]
    assert head[-1].name == CUT
    assert sum(layer.weights for layer in head) == 12_480
    assert sum(layer.macs for layer in head) == 120_597_504
    assert sum(layer.macs for layer in head) / resnet("resnet152").macs == pytest.approx(
        0.0105, abs=5e-5
    )


@pytest.mark.parametrize(("channels", "sent"), [(3, 2523), (6, 5046), (9, 7569), (12, 10092)])
def test_bottlefit_sends_29_by_29_bytes_a_channel(channels: int, sent: int) -> None:
    assert bottlefit(channels).layers[2].outputs_elements == sent


def test_names_and_channels_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'resnet152'"):
        resnet("resnet-152")
    with pytest.raises(InputError, match="channels: expected 1 or more, found 0"):
        bottlefit(0)
