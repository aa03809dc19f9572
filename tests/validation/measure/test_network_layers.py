"""Layers of shipped networks as cases: sizes that torch's modules of those networks have."""

from collections import Counter

from hwmodel.einsum.workloads.families import network
from hwmodel.validation.measure.network_layers import SLID, shape_of, sort_of


def test_a_resnets_convolutions_are_those_of_its_modules() -> None:
    """Torchvision's resnet50: 53 convolutions, 16 windows of 3 x 3 and one of 7 x 7."""
    layers = [each for each in network("resnet50").layers if each.kind in SLID]
    shapes = [shape for layer in layers if (shape := shape_of(layer)) is not None]
    taps = Counter((shape["taps_h"], shape["stride"]) for shape in shapes)
    assert len(shapes) == 53
    assert taps == {(1, 1): 33, (1, 2): 3, (3, 1): 13, (3, 2): 3, (7, 2): 1}
    first = shapes[0]
    assert (first["channels"], first["filters"], first["height"], first["pad"]) == (3, 64, 224, 3)
    assert Counter(map(sort_of, shapes)) == {"one": 36, "several": 17}


def test_groups_and_single_channels_are_told_apart() -> None:
    sorts = Counter(
        sort_of(shape)
        for name in ("convnext_tiny", "regnetx_032")
        for layer in network(name).layers
        if layer.kind in SLID and (shape := shape_of(layer)) is not None
    )
    assert sorts["depthwise"] == 18  # ConvNeXt-T: 3 + 3 + 9 + 3 blocks
    assert sorts["grouped"] == 25  # RegNetX-3.2GF: 2 + 6 + 15 + 2 blocks
