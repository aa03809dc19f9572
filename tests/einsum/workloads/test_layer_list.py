"""Networks from a file with a list of layers: published counts, shapes, refusals."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hwmodel.einsum.counts import flops
from hwmodel.einsum.workloads.cnn import cnn, network
from hwmodel.einsum.workloads.layer import Network
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

SIMPLENET: dict[str, Any] = {
    "resolution": 32,
    "layers": [
        {"kind": "conv", "filters": 64, "kernel": 3},
        {"kind": "conv", "filters": 128, "kernel": 3, "times": 3},
        {"kind": "maximum", "kernel": 2, "stride": 2},
        {"kind": "conv", "filters": 128, "kernel": 3, "times": 2},
        {"kind": "conv", "filters": 256, "kernel": 3},
        {"kind": "maximum", "kernel": 2, "stride": 2},
        {"kind": "conv", "filters": 256, "kernel": 3, "times": 2},
        {"kind": "maximum", "kernel": 2, "stride": 2},
        {"kind": "conv", "filters": 512, "kernel": 3},
        {"kind": "conv", "filters": 2048},
        {"kind": "conv", "filters": 256},
        {"kind": "maximum", "kernel": 2, "stride": 2},
        {"kind": "conv", "filters": 256, "kernel": 3},
        {"kind": "mean"},
        {"kind": "linear", "filters": 10},
    ],
}
"""SimpleNet for CIFAR-10 (arXiv 1608.06037; Coderx7/SimpleNet_Pytorch, `simplenet_cifar_5m`)."""


def written(folder: Path, content: Any) -> str:
    """The path of a file with this content."""
    path = folder / "net.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def listed(folder: Path, *layers: dict[str, Any], resolution: int = 8) -> Network:
    """A network of these layers."""
    return network(
        written(folder, {"resolution": resolution, "layers": list(layers)}), None, 1.0, None
    )


def test_simplenet_has_its_published_parameters_and_operations(tmp_path: Path) -> None:
    """5.48 M parameters and 652 M multiply-accumulates, in thirteen convolutions."""
    made = network(written(tmp_path, SIMPLENET), None, 1.0, None)
    assert round(made.weights / 1e6, 2) == 5.48
    assert round(made.macs / 1e6) == 652
    assert sum(layer.kind == "conv" for layer in made.layers) == 13


def test_windows_without_padding_and_with_gaps(tmp_path: Path) -> None:
    """LeNet-5 on 32 x 32: 61,706 parameters, 236 of them biases, and 416,520 multiplications."""
    five = {"kind": "conv", "kernel": 5, "padding": "valid"}
    halved = {"kind": "average", "kernel": 2, "stride": 2, "padding": "valid"}
    dense = [{"kind": "linear", "filters": wide} for wide in (120, 84, 10)]
    layers = [five | {"filters": 6}, halved, five | {"filters": 16}, halved, *dense]
    content = {"resolution": 32, "channels": 1, "layers": layers}
    lenet = network(written(tmp_path, content), None, 1.0, None)
    assert (lenet.weights, lenet.macs) == (61_706 - 236, 416_520)
    gaps = {"kind": "conv", "kernel": 3, "filters": 4, "dilation": 2}
    both = (gaps | {"padding": each} for each in ("same", "valid"))
    same, bare = (listed(tmp_path, each).layers[0] for each in both)
    assert (same.out_height, bare.out_width) == (8, 8 - 4)
    assert same.needs(8, 8) == (12, 12)  # two zeros on each side
    assert cnn(str(tmp_path / "net.yaml"), dtype="fp16").stages


def test_operations_grow_with_the_square_of_the_side_and_weights_do_not(tmp_path: Path) -> None:
    path = written(tmp_path, SIMPLENET)
    small, large = (network(path, side, 1.0, None) for side in (32, 64))
    assert small.weights == large.weights
    linear = 256 * 10
    assert large.macs - linear == 4 * (small.macs - linear)
    assert network(path, None, 1.0, 100).weights - small.weights == 256 * 90


def test_layers_read_by_name_and_are_added(tmp_path: Path) -> None:
    made = listed(
        *(tmp_path, {"kind": "conv", "filters": 8, "kernel": 3, "name": "stem"}),
        *({"kind": "depthwise", "kernel": 3}, {"kind": "add", "with": "stem"}),
        *({"kind": "conv", "filters": 4, "stride": 2, "reads": "stem"}, {"kind": "activation"}),
    )
    assert [layer.inputs for layer in made.layers] == [(-1,), (0,), (1, 0), (0,), (3,)]
    assert [(layer.out_height, layer.filters) for layer in made.layers] == [
        *((8, 8), (8, 8), (8, 8), (4, 4), (4, 4))
    ]
    assert made.weights == 8 * 9 * 3 + 8 * 9 + 8 * 4


def test_a_list_is_a_workload_like_any_network(tmp_path: Path) -> None:
    stack = cnn(written(tmp_path, SIMPLENET))
    assert stack.name == "net at 32 x 32"
    assert len(stack.stages) == 1 + 13 + 4 + 2
    assert stack.but() == stack


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"kind": "magic"}, "layers.1.kind: expected"),
        ({"kind": "conv"}, "layers.1: expected filters of conv, transposed and linear"),
        (
            {"kind": "mean", "filters": 3},
            "layers.1: expected filters of conv, transposed and linear",
        ),
        ({"kind": "add"}, "'with' of add, multiply, scale, concat alone; found a add"),
        ({"kind": "conv", "filters": 0}, "layers.1.filters"),
        ({"kind": "mean", "padding": "valid"}, "layers.1: expected dilation of conv and depthwise"),
        ({"kind": "maximum", "dilation": 2}, "layers.1: expected dilation of conv and depthwise"),
        ({"kind": "depthwise", "kernel": 9, "padding": "valid"}, "reach (9), found 1 x 8 x 8"),
        ({"kind": "conv", "filters": 3, "wide": 1}, "unknown key (layers.1.wide of "),
        ({"kind": "conv", "filters": 10, "groups": 5}, "groups: expected a divisor of"),
        ({"kind": "conv", "filters": 3, "times": 10**6}, "layers: expected"),
    ],
)
def test_a_bad_layer_is_named(tmp_path: Path, layer: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        listed(tmp_path, {"kind": "conv", "filters": 4}, layer)
    assert said in str(refused.value)


def test_maps_of_other_shapes_are_not_added(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found 1 x 4 x 4 x 4 and 1 x 8 x 8 x 4"):
        listed(
            *(tmp_path, {"kind": "conv", "filters": 4, "name": "a"}),
            *({"kind": "conv", "filters": 4, "stride": 2}, {"kind": "add", "with": "a"}),
        )


def test_names_that_no_layer_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown layer"):
        listed(tmp_path, {"kind": "conv", "filters": 4, "reads": "stem"})


def test_a_file_says_its_own_width(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="width is the file's"):
        network(written(tmp_path, SIMPLENET), None, 0.5, None)


def test_a_volume_is_enlarged_and_joined(tmp_path: Path) -> None:
    """Of 8 x 6 x 4 places; windows are as deep as they are wide."""
    layers: list[dict[str, Any]] = [
        {"kind": "conv", "filters": 8, "kernel": 3, "name": "whole"},
        {"kind": "maximum", "kernel": 2, "stride": 2},
        {"kind": "transposed", "filters": 4, "kernel": 2, "stride": 2},
        {"kind": "concat", "with": "whole"},
        {"kind": "groupnorm", "groups": 4},
        {"kind": "half"},
    ]
    path = written(tmp_path, {"resolution": [8, 6, 4], "channels": 2, "layers": layers})
    made = network(path, None, 1.0, None)
    shapes = [(e.out_depth, e.out_height, e.out_width, e.filters) for e in made.layers]
    sides, halved = (8, 6, 4), (4, 3, 2)
    assert shapes == [
        *((*sides, 8), (*halved, 8), (*sides, 4), (*sides, 12), (*sides, 12), (*sides, 6))
    ]
    assert made.weights == 27 * 2 * 8 + 8 * 8 * 4
    assert made.macs == 192 * 27 * 2 * 8 + 24 * 8 * 8 * 4
    counted = [flops(made.layers[at].cascade("bf16")) for at in (0, 2)]
    assert counted == [2 * 192 * 27 * 2 * 8, 2 * 24 * 8 * 8 * 4]


def test_a_volume_runs_on_gpus_and_not_on_microcontrollers(tmp_path: Path) -> None:
    layers: list[dict[str, Any]] = [{"kind": "conv", "filters": 8, "kernel": 3, "times": 2}]
    path = written(tmp_path, {"resolution": [8, 6, 4], "layers": layers})
    stack = cnn(path)
    assert stack.name == "net at 8 x 6 x 4"
    with pytest.raises(CoverageError, match="microcontrollers run convolutional networks"):
        predict(stack, device("stm32h743"))
    with pytest.raises(InputError, match="expected 1 for a network on volumes"):
        cnn(path, patches=2, split=1)
