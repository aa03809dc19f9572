"""Swin transformers: windows of patches, and at the end of a stage squares joined to one.

Liu et al., arXiv 2103.14030 (`SwinConfig`, `DonutSwinConfig`, `MaskFormerSwinConfig`). A token of a
step is a patch of the first stage; a stage has a fourth of the patches of the one before. Windows
that are shifted are counted as those that are not.
"""

from dataclasses import replace
from typing import Any, ClassVar, cast

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.coarser import coarser
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("swin", "swinv2", "donut-swin", "maskformer-swin")


class Swin(AnyConfig):
    """Depths and heads by stage; channels double from one to the next."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "drop_path_rate encoder_stride hidden_size num_layers stage_names out_features out_indices"
        " path_norm".split()
    )

    image_size: Count | tuple[Count, ...] = 224
    patch_size: Count | tuple[Count, ...] = 4
    num_channels: Count = 3
    embed_dim: Count = 96
    depths: tuple[Count, ...] = (2, 2, 6, 2)
    num_heads: tuple[Count, ...] = (3, 6, 12, 24)
    window_size: Count = 7
    mlp_ratio: float = 4.0
    qkv_bias: Flag = True
    hidden_act: str = "gelu"
    use_absolute_embeddings: Flag = False

    def network(self) -> Network:
        """Stages, joined by squares."""
        layers = [
            (*coarser(self.layer(stage, number), 4**stage), *self.joined(stage, number))
            for stage, depth in enumerate(self.depths)
            for number in range(depth)
        ]
        width = self.embed_dim * 2 ** (len(self.depths) - 1)
        last = Norm("final norm", "layernorm", width, "layer")
        after = coarser((last,), 4 ** (len(self.depths) - 1))
        return Network(self.embed_dim, self.embedded(), grouped(layers), after, generates=False)

    def embedded(self) -> tuple[Block, ...]:
        """Patches and their norm; positions by key."""
        side, patch = longest(self.image_size), longest(self.patch_size)
        rows = (side // patch) ** 2 * self.use_absolute_embeddings
        sizes = (self.num_channels * patch**2, self.embed_dim, rows, 0)
        return (Patches(*sizes), Norm("embedding norm", "embeddings.norm", self.embed_dim, "layer"))

    def layer(self, stage: int, number: int) -> tuple[Block, ...]:
        """Attention within windows, and an MLP."""
        width, heads = self.embed_dim * 2**stage, self.num_heads[stage]
        path = f"encoder.layers.{stage}.blocks.{number}"
        attention = Attention(
            *(width, heads, heads, width // heads),
            qkv_bias=self.qkv_bias,
            output_bias=True,
            rotated=0,
            causal=False,
            cached=False,
            apart=self.window_size**2,
            path=f"{path}.attention",
        )
        table = ((2 * self.window_size - 1) ** 2, heads)
        inner = int(self.mlp_ratio * width)
        return (
            Norm("attention norm", f"{path}.layernorm_before", width, "layer"),
            attention,
            Held(f"{path}.attention.relative_position_bias_table", table),
            Residual("attention residual", width),
            Norm("mlp norm", f"{path}.layernorm_after", width, "layer"),
            PlainMlp(width, inner, self.hidden_act, True, f"{path}.mlp", counted=f"stage {stage}"),
            Residual("mlp residual", width),
        )

    def joined(self, stage: int, number: int) -> tuple[Block, ...]:
        """Behind the last layer of a stage, but of the last: four patches, a norm, a product."""
        if number + 1 < self.depths[stage] or stage + 1 == len(self.depths):
            return ()
        width, path = 4 * self.embed_dim * 2**stage, f"encoder.layers.{stage}.downsample"
        made = (
            Norm("squares norm", f"{path}.norm", width, "layer"),
            Projection("squares", width, width // 2, f"{path}.reduction", part="merger"),
        )
        return coarser(made, 4 ** (stage + 1))

    def check(self, where: str) -> None:
        """As many heads as depths."""
        super().check(where)
        if len(self.depths) != len(self.num_heads):
            raise InputError(
                f"{where}: num_heads: expected one for each of the {len(self.depths)} depths,"
                f" found {len(self.num_heads)}"
            )


class SwinV2(Swin):
    """Norms behind blocks, keys without biases, biases of distances by two products.

    Liu et al., arXiv 2111.09883 (`Swinv2Config`). Those products run once for all images, and are
    counted as weights.
    """

    HARMLESS: ClassVar[frozenset[str]] = Swin.HARMLESS | {"pretrained_window_sizes"}
    HIDDEN: ClassVar[int] = 512

    def layer(self, stage: int, number: int) -> tuple[Block, ...]:
        """Attention within windows and an MLP, each with a norm behind it."""
        before, attention, _, added, after, mlp, last = super().layer(stage, number)
        path, heads = (
            f"encoder.layers.{stage}.blocks.{number}.attention.self",
            self.num_heads[stage],
        )
        bias = f"{path}.continuous_position_bias_mlp"
        held = (
            Held(f"{path}.logit_scale", (heads, 1, 1)),
            Held(f"{bias}.0", (self.HIDDEN, 2)),
            Held(f"{bias}.0.bias", (self.HIDDEN,)),
            Held(f"{bias}.2", (heads, self.HIDDEN)),
        )
        assert isinstance(attention, Attention)
        return (replace(attention, key_bias=False), *held, before, added, mlp, after, last)

    def joined(self, stage: int, number: int) -> tuple[Block, ...]:
        """The norm behind the product."""
        if not super().joined(stage, number):
            return ()
        width, path = 4 * self.embed_dim * 2**stage, f"encoder.layers.{stage}.downsample"
        made = (
            Projection("squares", width, width // 2, f"{path}.reduction", part="merger"),
            Norm("squares norm", f"{path}.norm", width // 2, "layer"),
        )
        return coarser(made, 4 ** (stage + 1))


class Donut(Swin):
    """No last norm."""

    def network(self) -> Network:
        """The stages alone."""
        made = super().network()
        return Network(made.hidden, made.before, made.layers, (), generates=False)


def longest(size: Any) -> int:
    """A size of one number, or the larger of two."""
    return max(cast(list[int], size)) if isinstance(size, (list, tuple)) else int(size)


RECORDS = {"swin": Swin, "swinv2": SwinV2, "donut-swin": Donut, "maskformer-swin": Swin}
