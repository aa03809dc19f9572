"""ConvNeXt 1 and 2: a filter of 7 x 7 for each channel, a norm, an MLP (`ConvNextConfig`).

Liu et al., arXiv 2201.03545; Woo et al., arXiv 2301.00808 (`ConvNextV2Config`, whose MLP normalises
channels by the whole map). A token of a step is a patch of the first stage.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.coarser import coarser
from hwmodel.einsum.workloads.blocks.convolution import Convolution, Filters
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.scale import LearnedScale
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count

MODEL_TYPES = ("convnext", "convnextv2")
TAPS = 49


class ConvNext(AnyConfig):
    """Channels and depths by stage."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "drop_path_rate image_size num_stages stage_names out_features out_indices".split()
    )
    LAYER_SCALE: ClassVar[bool] = True

    num_channels: Count = 3
    patch_size: Any = 4
    hidden_sizes: tuple[Count, ...] = (96, 192, 384, 768)
    depths: tuple[Count, ...] = (3, 3, 9, 3)
    hidden_act: str = "gelu"
    layer_scale_init_value: float = 1e-6

    def network(self) -> Network:
        """Stages, joined by squares of patches."""
        patch, first = int(self.patch_size), self.hidden_sizes[0]
        before = (
            Patches(self.num_channels * patch**2, first, 0, 0, names=("patch_embeddings", "")),
            Norm("embedding norm", "embeddings.layernorm", first, "layer"),
        )
        layers = [
            (*self.joined(stage, number), *coarser(self.layer(stage, number), 4**stage))
            for stage, depth in enumerate(self.depths)
            for number in range(depth)
        ]
        last = (Norm("final norm", "layernorm", self.hidden_sizes[-1], "layer", last=True),)
        return Network(first, before, grouped(layers), last, generates=False)

    def layer(self, stage: int, number: int) -> tuple[Block, ...]:
        """Filters, a norm, an MLP of four times the channels."""
        width, path = self.hidden_sizes[stage], f"encoder.stages.{stage}.layers.{number}"
        factor = (LearnedScale("layer scale", width, f"{path}.layer_scale_parameter"),)
        held = (
            Held(f"{path}.grn.weight", (4 * width,), "mlp"),
            Held(f"{path}.grn.bias", (4 * width,), "mlp"),
        )
        return (
            Filters("filters", width, TAPS, f"{path}.dwconv", True),
            Norm("mlp norm", f"{path}.layernorm", width, "layer"),
            PlainMlp(
                *(width, 4 * width, self.hidden_act, True, path, ("pwconv1", "pwconv2")),
                counted=f"stage {stage}",
            ),
            *(() if self.LAYER_SCALE else held),
            *(factor if self.LAYER_SCALE and self.layer_scale_init_value > 0 else ()),
            Residual("mlp residual", width),
        )

    def joined(self, stage: int, number: int) -> tuple[Block, ...]:
        """Before a stage but the first: a norm, and a product of four patches."""
        if number or not stage:
            return ()
        inner, outer = self.hidden_sizes[stage - 1 : stage + 1]
        path = f"encoder.stages.{stage}.downsampling_layer"
        return (
            *coarser((Norm("squares norm", f"{path}.0", inner, "layer"),), 4 ** (stage - 1)),
            *coarser((Convolution("squares", 4 * inner, outer, f"{path}.1", True),), 4**stage),
        )


class ConvNextV2(ConvNext):
    """Channels of the MLP are normalised; no learned factor."""

    LAYER_SCALE: ClassVar[bool] = False


RECORDS = {"convnext": ConvNext, "convnextv2": ConvNextV2}
