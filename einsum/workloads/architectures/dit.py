"""Diffusion transformers (Peebles and Xie, arXiv 2212.09748), as diffusers' config has them.

A step is one pass of denoising: `prefill`, whose `prompt` is the tokens of a latent, (sample_size /
patch_size)^2. Images that are guided by their class have two rows in a batch. Embeddings of
timestep and class, which diffusers repeats in each layer, are counted once, as in the paper.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.modulation import Conditioning, Modulated, Vectors
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.record import Config, Count, Flag, Layers, Names, Values
from hwmodel.quantity.errors import CoverageError, InputError

MODEL_TYPES = ("dit", "DiTTransformer2DModel", "Transformer2DModel")
LAYER = "transformer_blocks.{layer}"
EMBEDDER = "transformer_blocks.0.norm1.emb"
"""Of the layers' equal ones the first, which the last norm reads too."""


class Dit(Config):
    """Layers of adaLN-Zero: norms without weights, six vectors of each image."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        {"norm_num_groups", "upcast_attention", "only_cross_attention"}
    )
    NEUTRAL: ClassVar[Values] = {
        "activation_fn": ("gelu-approximate",),
        "norm_elementwise_affine": (False,),
        "double_self_attention": (False,),
    }
    ALIASES: ClassVar[Names] = {"num_layers": "num_hidden_layers"}

    num_attention_heads: Count = 16
    attention_head_dim: Count = 72
    in_channels: Count = 4
    out_channels: Count | None = None
    num_hidden_layers: Layers = 28
    sample_size: Count = 32
    patch_size: Count = 2
    num_embeds_ada_norm: Count = 1000
    attention_bias: Flag = True
    norm_type: str = "ada_norm_zero"

    @property
    def hidden_size(self) -> int:
        """Columns of all heads."""
        return self.num_attention_heads * self.attention_head_dim

    def check(self, where: str) -> None:
        """Norms of adaLN-Zero, and a latent of whole patches."""
        super().check(where)
        if self.norm_type != "ada_norm_zero":
            raise CoverageError(
                f"{where}: norm_type: {self.norm_type!r} is not modelled; expected 'ada_norm_zero'"
            )
        if self.sample_size % self.patch_size:
            raise InputError(
                f"{where}: sample_size: expected a multiple of patch_size ({self.patch_size}),"
                f" found {self.sample_size}"
            )

    def network(self) -> Network:
        """Patches and their image's row, the layers, and a product to what each patch becomes."""
        hidden, made = self.hidden_size, self.out_channels or self.in_channels
        patch, rows = self.patch_size**2, (self.sample_size // self.patch_size) ** 2
        names = ("proj", "pos_embed")
        return Network(
            hidden=hidden,
            before=(
                Patches(self.in_channels * patch, hidden, rows, 0, path="pos_embed", names=names),
                Conditioning(hidden, self.num_embeds_ada_norm + 1, EMBEDDER),
            ),
            layers=grouped([self._layer()] * self.num_hidden_layers),
            after=(
                Vectors("final vectors", hidden, 2, "proj_out_1"),
                Norm("final norm", "norm_out", hidden, "layer without weights"),
                Modulated("final", hidden, ("scale", "shift")),
                Projection("output", hidden, patch * made, "proj_out_2", part="head", bias=True),
            ),
            generates=False,
        )

    def _layer(self) -> tuple[Block, ...]:
        """Attention and an MLP, each modulated before and gated behind."""
        hidden, heads = self.hidden_size, self.num_attention_heads
        attention = Attention(
            *(hidden, heads, heads, self.attention_head_dim),
            qkv_bias=self.attention_bias,
            output_bias=True,
            rotated=0,
            causal=False,
            cached=False,
            path=f"{LAYER}.attn1",
            names=("to_q", "to_k", "to_v", "to_out.0"),
        )
        mlp = PlainMlp(
            *(hidden, 4 * hidden, "gelu_pytorch_tanh"),
            path=f"{LAYER}.ff.net",
            names=("0.proj", "2"),
        )
        return (
            Vectors("vectors", hidden, 6, f"{LAYER}.norm1.linear"),
            *self._branch("attention", "norm1.norm", attention),
            *self._branch("mlp", "norm3", mlp),
        )

    def _branch(self, name: str, norm: str, block: Block) -> tuple[Block, ...]:
        hidden = self.hidden_size
        return (
            Norm(f"{name} norm", f"{LAYER}.{norm}", hidden, "layer without weights"),
            Modulated(f"{name} norm", hidden, ("scale", "shift")),
            block,
            Modulated(f"{name} output", hidden, ("gate",)),
            Residual(f"{name} residual", hidden),
        )


class Older(Dit):
    """The class that DiT had in diffusers with others, which are told by their norms."""

    norm_type: str = "layer_norm"


RECORDS = {"dit": Dit, "DiTTransformer2DModel": Dit, "Transformer2DModel": Older}
