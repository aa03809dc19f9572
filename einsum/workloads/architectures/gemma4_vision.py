"""Gemma 4's vision (`Gemma4VisionConfig`): patches with rows' and columns' positions, gated MLPs.

Attention of every patch to every other, q, k and v normalised, norms around blocks. What comes
behind the layers, a mean of neighbouring patches, is left out.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("gemma4_vision",)


class Gemma4Vision(Encoder):
    """No norm behind the layers."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {
        *("image_size", "attention_bias", "default_output_length", "global_head_dim"),
    }
    NORM: ClassVar[Kind] = "rms"
    NORMS: ClassVar[Norms] = (
        *("input_layernorm", "post_attention_layernorm"),
        *("pre_feedforward_layernorm", "post_feedforward_layernorm"),
    )
    LAYER: ClassVar[str] = "encoder.layers.{layer}"

    hidden_size: Count = 768
    intermediate_size: Count | None = 3072
    num_hidden_layers: Count = 16
    num_attention_heads: Count = 12
    num_key_value_heads: Count | None = 12
    head_dim: Count | None = 64
    hidden_activation: str = "gelu_pytorch_tanh"
    patch_size: Count = 16
    position_embedding_size: Count = 10240
    pooling_kernel_size: Count = 3
    use_clipped_linears: Flag = False
    standardize: Flag = False

    def embedded(self) -> tuple[Block, ...]:
        """Patches without a bias; a row's and a column's position are added to each."""
        path, rows = "patch_embedder", 2 * self.position_embedding_size
        names = ("input_proj", "position_embedding_table")
        sizes = (3 * self.patch_size**2, self.hidden_size, rows, 0)
        return (Patches(*sizes, bias=False, path=path, names=names),)

    def attention(self, window: int | None) -> Block:
        """All of a head's columns turn."""
        plain = {"qkv_bias": False, "output_bias": False, "rotated": self.head_size}
        names = ("q_proj.linear", "k_proj.linear", "v_proj.linear", "o_proj.linear")
        return self.heads(window, qk_norm=True, value_norm=True, names=names, **plain)

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        names = ("gate_proj.linear", "up_proj.linear", "down_proj.linear")
        return self.gated(act=self.hidden_activation, names=names)

    def ended(self) -> tuple[Block, ...]:
        """Nothing."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """What is done to hidden states one by one."""
        told = (
            ("use_clipped_linears", "limits of what products read and make are not counted"),
            ("standardize", "shifts and scales of what the tower makes are not counted"),
        )
        return tuple(f"{key}: {text}" for key, text in told if getattr(self, key))


RECORDS = {"gemma4_vision": Gemma4Vision}
