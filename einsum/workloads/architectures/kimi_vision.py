"""Kimi K2.5's vision: patches with positions, turned by rows and columns.

`Kimi_K25VisionConfig`. Squares of `merge_kernel_size` patches are joined by the model around it.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.record import Count, Layers, Names

MODEL_TYPES = ("kimi_k25_vision",)


class Config(Vit):
    """Frames have no rows of their own: their positions are sinusoids."""

    HARMLESS: ClassVar[frozenset[str]] = Vit.HARMLESS | {
        *("merge_kernel_size", "pos_emb_time", "merge_type", "pos_emb_type", "mm_hidden_size"),
        *("mm_projector_type", "projector_hidden_act", "text_hidden_size", "projector_ln_eps"),
        *("video_attn_type", "init_pos_emb_time"),
    }
    ALIASES: ClassVar[Names] = {
        **{"vt_hidden_size": "hidden_size", "vt_intermediate_size": "intermediate_size"},
        **{"vt_num_hidden_layers": "num_hidden_layers"},
        **{"vt_num_attention_heads": "num_attention_heads"},
        **{"init_pos_emb_height": "pos_emb_height", "init_pos_emb_width": "pos_emb_width"},
    }
    NORMS: ClassVar[Norms] = ("norm1", None, "norm2", None)
    FINAL: ClassVar[str] = "final_layernorm"

    hidden_size: Count = 1152
    intermediate_size: Count | None = 4304
    num_hidden_layers: Layers = 27
    num_attention_heads: Count = 16
    hidden_act: str = "gelu_pytorch_tanh"
    patch_size: Count = 14
    pos_emb_height: Count = 64
    pos_emb_width: Count = 64

    def embedded(self) -> tuple[Block, ...]:
        """Patches and positions."""
        rows = self.pos_emb_height * self.pos_emb_width
        names = ("patch_embed.proj", "patch_embed.pos_emb")
        inputs = self.num_channels * self.patch_size**2
        return (Patches(inputs, self.hidden_size, rows, 0, path="", names=names),)

    def attention(self, window: int | None) -> Block:
        """Rotary attention."""
        names = ("q_proj", "k_proj", "v_proj", "proj")
        return self.heads(window, rotated=None, names=names, path=f"{self.LAYER}.attn")

    def ended(self) -> tuple[Block, ...]:
        """A norm."""
        return self.norm("final norm", self.FINAL)
