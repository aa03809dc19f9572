"""Residual networks of bottleneck blocks, and ResNet-152 with a bottleneck to split it at.

    resnet      He et al., CVPR 2016 (arXiv 1512.03385), table 1: 50, 101 or 152 layers; stride in
                the 3 x 3 convolution, as libraries have it
    bottlefit   BottleFit (WoWMoM 2022, arXiv 2201.02693; released source, version 2): the first
                two stages replaced by an encoder that ends in few channels and a decoder

Names of `bottlefit`'s layers tell encoder from decoder; the cut is after "encoder 3".
"""

from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.quantity.errors import InputError, UnknownNameError

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
"""Blocks of each of the four stages."""

CUT = "encoder 3"
SIDE = 224
CLASSES = 1000


class _Builder:
    """Appends layers, each on the last one's map unless told otherwise."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []

    @property
    def last(self) -> int:
        return len(self.layers) - 1

    def shape(self, at: int) -> tuple[int, int]:
        """Side and channels of the map that the layer at `at` makes (-1: the image)."""
        return (self.layers[at].out_height, self.layers[at].filters) if at >= 0 else (SIDE, 3)

    def layer(
        self, name: str, kind: str, filters: int, kernel: int, stride: int, side: int, at: int = -2
    ) -> None:
        at = self.last if at == -2 else at
        before, channels = self.shape(at)
        sizes = (before, before, channels, side, side, filters)
        self.layers.append(Layer(name, kind, (at,), *sizes, kernel=kernel, stride=stride))

    def add(self, name: str, one: int, other: int) -> None:
        side, wide = self.shape(one)
        sizes = (side, side, wide, side, side, wide)
        self.layers.append(Layer(name, "add", (one, other), *sizes))


def resnet(name: str) -> Network:
    """A residual network on an image of 224 x 224; `name` is resnet50, resnet101 or resnet152."""
    if name not in BLOCKS:
        raise UnknownNameError("residual network", name, BLOCKS)
    made = _Builder()
    made.layer("stem", "conv", 64, 7, 2, 112)
    made.layer("pool", "maximum", 64, 3, 2, 56)
    _stages(made, BLOCKS[name], first=0)
    return Network(name, SIDE, SIDE, 3, tuple(made.layers))


def bottlefit(channels: int) -> Network:
    """ResNet-152 whose encoder ends in `channels` channels of 29 x 29, 8 bits each when sent."""
    if channels < 1:
        raise InputError(f"bottlefit: channels: expected 1 or more, found {channels}")
    made = _Builder()
    made.layer("encoder 1", "conv", 64, 7, 2, 112)
    made.layer("encoder 2", "maximum", 64, 3, 2, 56)
    made.layer(CUT, "conv", channels, 2, 2, 29)
    for number, side in enumerate((30, 31, 30, 29), 1):
        made.layer(f"decoder {number}", "conv", 512, 2, 1, side)
    made.layer("decoder 5", "average", 512, 2, 1, 28)
    _stages(made, BLOCKS["resnet152"], first=2)
    return Network(f"bottlefit-{channels}", SIDE, SIDE, 3, tuple(made.layers))


def _stages(made: _Builder, blocks: tuple[int, ...], first: int) -> None:
    """The stages from `first` on, then the classifier."""
    for stage in range(first, 4):
        wide, side = 64 * 2**stage, 56 // 2**stage
        for block in range(blocks[stage]):
            source, tag = made.last, f"{stage + 1}.{block + 1}"
            stride = 2 if stage and not block else 1
            made.layer(f"{tag} reduce", "conv", wide, 1, 1, side * stride)
            made.layer(f"{tag} middle", "conv", wide, 3, stride, side)
            made.layer(f"{tag} expand", "conv", 4 * wide, 1, 1, side)
            expanded = made.last
            if not block:
                made.layer(f"{tag} shortcut", "conv", 4 * wide, 1, stride, side, at=source)
                source = made.last
            made.add(f"{tag} add", expanded, source)
    made.layer("mean", "mean", 2048, 1, 1, 1)
    made.layer("classifier", "linear", CLASSES, 1, 1, 1)
