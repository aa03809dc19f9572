"""How models with several parts read images: tokens of an image, and what joins them to the text.

Towers (`*_vision.py`, `vit.py`, ...) make hidden states of patches; some join squares of patches
themselves. What stands between a tower and the text is a module of the whole model, by its model
type: `Gemma3MultiModalProjector`, `LlavaMultiModalProjector`, `InternVLMultiModalProjector`,
`Mistral3MultiModalProjector`, `Llama4MultiModalProjector`, `Idefics3Connector`,
`PaliGemmaMultiModalProjector`, `Kimi_K25MultimodalProjection`, `Gemma4MultimodalEmbedder` of
transformers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final, cast

from hwmodel.einsum.workloads.architectures.swin import longest
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.coarser import coarser
from hwmodel.einsum.workloads.blocks.merger import Merger
from hwmodel.einsum.workloads.blocks.norm import Norm
from hwmodel.einsum.workloads.blocks.projection import Projection

MODEL_TYPES = ()
"""No config is of a projector."""


@dataclass(frozen=True)
class Images:
    """What a model's tower runs on, and what joins its patches to the text.

    Attributes:
        joined: patches that become one token of the text.
        patches: those of an image, where every image is made as large as the tower's; None: an
            image has as many as its size says.
        side: pixels that a token is high and wide, where images of any size are read.
        extra: tokens of no patch in the tower.
        blocks: the projector, on a step of patches.
        beside: tokens of an image are none of the prompt's: layers attend to them.
    """

    joined: int = 1
    patches: int | None = None
    side: int | None = None
    extra: int = 0
    blocks: tuple[Block, ...] = ()
    beside: bool = False

    @property
    def tokens(self) -> int | None:
        """Tokens of an image that is made as large as the tower's."""
        return None if self.patches is None else self.patches // self.joined


@dataclass(frozen=True)
class Parts:
    """What a rule reads: keys of the whole config, its vision's record, the text's hidden size."""

    whole: Mapping[str, Any]
    vision: Any
    text: int

    def key(self, name: str, usual: Any) -> Any:
        """A key of the whole, or its usual value."""
        found = self.whole.get(name)
        return usual if found is None else found

    def part(self, name: str, usual: Any) -> Any:
        """A key of the vision's table, or its usual value."""
        table = cast(Mapping[str, Any], self.whole.get("vision_config") or {})
        found = table.get(name)
        return usual if found is None else found

    @property
    def square(self) -> int:
        """Patches of the tower's own image."""
        return (longest(self.vision.image_size) // longest(self.vision.patch_size)) ** 2


def _merged(parts: Parts) -> Images:
    """Towers that join squares and make them as wide as the text."""
    side = parts.vision.spatial_merge_size
    return Images(side**2, side=side * parts.vision.patch_size)


def _gemma3(parts: Parts) -> Images:
    """Means of squares, a norm, a product."""
    width, patches = parts.vision.hidden_size, parts.square
    joined = patches // parts.key("mm_tokens_per_image", 256)
    path = "multi_modal_projector"
    blocks = (
        Norm("projector norm", f"{path}.mm_soft_emb_norm", width),
        Projection("projector", width, parts.text, f"{path}.mm_input_projection", part="projector"),
    )
    return Images(joined, patches, blocks=coarser(blocks, joined))


def _gemma4(parts: Parts) -> Images:
    """Means of squares of any image, a norm without weights, a product."""
    side, width = parts.vision.pooling_kernel_size, parts.vision.hidden_size
    blocks = (
        Norm("projector norm", "embed_vision", width, "rms without weights"),
        Projection("projector", width, parts.text, "embed_vision", part="projector"),
    )
    return Images(side**2, side=side * parts.vision.patch_size, blocks=coarser(blocks, side**2))


def _two(parts: Parts, inputs: int, bias: bool, names: tuple[str, str]) -> tuple[Block, ...]:
    """Two products with a GELU between."""
    first, second = (f"multi_modal_projector.{name}" for name in names)
    up, down = (inputs, parts.text, first), (parts.text, parts.text, second)
    return (
        Projection("projector up", *up, False, "projector", bias, "gelu"),
        Projection("projector down", *down, False, "projector", bias),
    )


def _llava(parts: Parts) -> Images:
    """Every patch; the token of none is dropped."""
    bias, names = parts.key("multimodal_projector_bias", True), ("linear_1", "linear_2")
    blocks = _two(parts, parts.vision.hidden_size, bias, names)
    return Images(1, parts.square, extra=1, blocks=blocks)


def _internvl(parts: Parts) -> Images:
    """Squares, a norm of each, two products."""
    joined = round(1 / parts.key("downsample_ratio", 0.5)) ** 2
    width = joined * parts.vision.hidden_size
    norm = Norm("projector norm", "multi_modal_projector.layer_norm", width, "layer")
    blocks = (norm, *_two(parts, width, True, ("linear_1", "linear_2")))
    return Images(joined, parts.square, extra=1, blocks=coarser(blocks, joined))


def _mistral3(parts: Parts) -> Images:
    """A norm of patches of any image, squares made as wide as one, two products."""
    side, width = parts.key("spatial_merge_size", 2), parts.vision.hidden_size
    path, joined = "multi_modal_projector", side**2
    merged = Projection(
        *("projector join", joined * width, width, f"{path}.patch_merger.merging_layer"),
        part="projector",
    )
    bias = parts.key("multimodal_projector_bias", False)
    after = (merged, *_two(parts, width, bias, ("linear_1", "linear_2")))
    blocks = (Norm("projector norm", f"{path}.norm", width), *coarser(after, joined))
    return Images(joined, side=side * parts.vision.patch_size, blocks=blocks)


def _idefics3(parts: Parts) -> Images:
    """Squares, and a product."""
    joined = parts.key("scale_factor", 2) ** 2
    sizes = (joined * parts.vision.hidden_size, parts.text)
    block = Projection("projector", *sizes, "connector.modality_projection.proj", part="projector")
    return Images(joined, parts.square, blocks=coarser((block,), joined))


def _paligemma(parts: Parts) -> Images:
    """Every patch, and a product."""
    outputs = parts.part("projection_dim", parts.key("projection_dim", 2048))
    sizes = (parts.vision.hidden_size, outputs)
    path = "multi_modal_projector.linear"
    block = Projection("projector", *sizes, path, part="projector", bias=True)
    return Images(1, parts.square, blocks=(block,))


def _llama4(parts: Parts) -> Images:
    """What the tower has joined, and a product."""
    joined = round(1 / parts.vision.pixel_shuffle_ratio**2)
    made = parts.part("vision_output_dim", 7680)
    sizes = (made, parts.text)
    path = "multi_modal_projector.linear_1"
    block = Projection("projector", *sizes, path, part="projector")
    return Images(joined, parts.square, extra=1, blocks=coarser((block,), joined))


def _kimi(parts: Parts) -> Images:
    """Squares of any image: a norm of patches, two products with a GELU between."""
    kernel = tuple(parts.part("merge_kernel_size", (2, 2)))
    names, path = ("pre_norm", "in_proj", "out_proj"), "multi_modal_projector"
    sizes = (parts.vision.hidden_size, prod(kernel), parts.text)
    side = kernel[0] * parts.vision.patch_size
    return Images(prod(kernel), side=side, blocks=(Merger(*sizes, path, names=names),))


def _mllama(parts: Parts) -> Images:
    """Tiles, each with a token of no patch; a product of hidden states of several layers."""
    each, tiles = parts.square + 1, parts.vision.max_num_tiles
    inputs = parts.part("vision_output_dim", 7680)
    path = "multi_modal_projector"
    block = Projection("projector", inputs, parts.text, path, part="projector", bias=True)
    return Images(1, each * tiles, blocks=(block,), beside=True)


RULES: Final[Mapping[str, Callable[[Parts], Images]]] = {
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe"), _merged),
    **dict.fromkeys(("qwen3_5", "qwen3_5_moe", "glm4v", "glm4v_moe"), _merged),
    **{"gemma3": _gemma3, "gemma4": _gemma4, "llava": _llava, "internvl": _internvl},
    **{"mistral3": _mistral3, "idefics3": _idefics3, "smolvlm": _idefics3},
    **{"paligemma": _paligemma, "llama4": _llama4, "mllama": _mllama},
    **dict.fromkeys(("kimi_k25", "kimi_k2_5"), _kimi),
}
"""By the model type of the whole."""
