"""Residual networks by config: ResNet (`ResNetConfig`) and RegNet (`RegNetConfig`).

He et al., arXiv 1512.03385; Radosavovic et al., arXiv 2003.13678. A token of a step is a position
of the map behind the stem, one for 16 pixels (of RegNet for 4); 56 x 56 of an image of 224 x 224.
Batch norms are folded into convolutions, each counted as a product of its windows.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.coarser import coarser
from hwmodel.einsum.workloads.blocks.convolution import Convolution
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Residual
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag
from hwmodel.quantity.errors import CoverageError

MODEL_TYPES = ("resnet", "regnet")
REDUCED = 4
"""Channels of a bottleneck, by those that it makes."""


class ResNet(AnyConfig):
    """Blocks of two 3 x 3 convolutions, or of 1 x 1, 3 x 3 and 1 x 1."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset("stage_names out_features out_indices".split())
    STEM: ClassVar[int] = 49

    num_channels: Count = 3
    embedding_size: Count = 64
    hidden_sizes: tuple[Count, ...] = (256, 512, 1024, 2048)
    depths: tuple[Count, ...] = (3, 4, 6, 3)
    layer_type: str = "bottleneck"
    hidden_act: str = "relu"
    downsample_in_first_stage: Flag = False
    downsample_in_bottleneck: Flag = False

    def network(self) -> Network:
        """Stages, of which all but the first, or all, begin by every other position."""
        layers = [
            self.block(stage, number)
            for stage, depth in enumerate(self.depths)
            for number in range(depth)
        ]
        return Network(self.embedding_size, self.stem(), grouped(layers), (), generates=False)

    def stem(self) -> tuple[Block, ...]:
        """A convolution at twice the sides of the map behind the pooling."""
        inputs = self.STEM * self.num_channels
        path = "embedder.embedder.convolution"
        return (Convolution("stem", inputs, self.embedding_size, path, False, True, "relu", 4),)

    def level(self, stage: int) -> int:
        """Tokens that a position of a stage stands for."""
        return 4 ** (stage + self.downsample_in_first_stage)

    def block(self, stage: int, number: int) -> tuple[Block, ...]:
        """Convolutions, and a shortcut that has one where shapes change."""
        wide, path = self.hidden_sizes[stage], f"encoder.stages.{stage}.layers.{number}"
        before = self.embedding_size if stage == 0 else self.hidden_sizes[stage - 1]
        inputs = wide if number else before
        first, *others = self.inner(f"{path}.layer", inputs, wide)
        changed = number == 0 and (before != wide or stage > 0 or self.downsample_in_first_stage)
        short = (Convolution("shortcut", inputs, wide, f"{path}.shortcut", folded=True),)
        blocks = (*others, *(short if changed else ()), Residual("residual", wide))
        level = self.level(stage)
        halved = number == 0 and level > 1 and self.halves_later
        return (*coarser((first,), level // 4 if halved else level), *coarser(blocks, level))

    @property
    def halves_later(self) -> bool:
        """Whether the first convolution of a stage still has all positions of the one before."""
        return self.layer_type != "basic" and not self.downsample_in_bottleneck

    def inner(self, path: str, inputs: int, wide: int) -> tuple[Block, ...]:
        """The convolutions of a block."""
        if self.layer_type == "basic":
            first, second = (9 * inputs, wide), (9 * wide, wide)
            return (
                Convolution("conv 1", *first, f"{path}.0", False, True, self.hidden_act),
                Convolution("conv 2", *second, f"{path}.1", False, True),
            )
        narrow = wide // REDUCED
        return (
            Convolution("reduce", inputs, narrow, f"{path}.0", False, True, self.hidden_act),
            Convolution("middle", 9 * narrow, narrow, f"{path}.1", False, True, self.hidden_act),
            Convolution("expand", narrow, wide, f"{path}.2", False, True),
        )

    def check(self, where: str) -> None:
        """A block that is modelled."""
        super().check(where)
        if self.layer_type not in self.kinds():
            raise CoverageError(
                f"{where}: layer_type: {self.layer_type!r} is not modelled; expected"
                f" {' or '.join(map(repr, self.kinds()))}"
            )

    def kinds(self) -> tuple[str, ...]:
        """What `layer_type` may say."""
        return "basic", "bottleneck"


class RegNet(ResNet):
    """Convolutions in groups of channels, weighed by what the whole map says ("y")."""

    STEM: ClassVar[int] = 9

    embedding_size: Count = 32
    hidden_sizes: tuple[Count, ...] = (128, 192, 512, 1088)
    depths: tuple[Count, ...] = (2, 6, 12, 2)
    layer_type: str = "y"
    groups_width: Count = 64
    downsample_in_first_stage: Flag = True

    def stem(self) -> tuple[Block, ...]:
        """A convolution, without pooling behind it."""
        inputs = self.STEM * self.num_channels
        path = "embedder.embedder.convolution"
        return (Convolution("stem", inputs, self.embedding_size, path, False, True, "relu"),)

    def inner(self, path: str, inputs: int, wide: int) -> tuple[Block, ...]:
        """1 x 1, 3 x 3 in groups, and 1 x 1."""
        group = min(self.groups_width, wide)
        squeezed = round(inputs / 4)
        weighed = (
            Projection("squeeze", wide, squeezed, f"{path}.2.0", True, "mlp", True, "relu"),
            Projection("excite", squeezed, wide, f"{path}.2.2", True, "mlp", True, "sigmoid"),
        )
        return (
            Convolution("reduce", inputs, wide, f"{path}.0", False, True, self.hidden_act),
            Convolution("middle", 9 * group, wide, f"{path}.1", False, True, self.hidden_act),
            *(weighed if self.layer_type == "y" else ()),
            Convolution("expand", wide, wide, f"{path}.3", False, True),
        )

    def kinds(self) -> tuple[str, ...]:
        """With the weighing or without."""
        return "x", "y"


RECORDS = {"resnet": ResNet, "regnet": RegNet}
