"""Visual autoregressive models (VAR): an image scale by scale (FoundationVision/VAR, `models/`).

Keys are those of the repository's classes. A step is one scale: `prefill`, whose `prompt` is the
tokens of this scale and all before, and `cached` those before (of 1, 2, 3, ... a side: 1, 4, 9, ...
tokens). Its tokens see each other and what is cached. Images that are guided by their class have
two rows in a batch. Layers are modulated by the row of the image's class, by vectors of their own
or (`shared_aln`) of all layers. What scales queries, a number of each head, is left out.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from hwmodel.einsum.workloads.blocks.attention import Attention, HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.modulation import Labels, Modulated, Vectors
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag, Layers
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("var",)
LAYER = "blocks.{layer}"


class Config(AnyConfig):
    """The arguments of `VAR`, and what it takes from its tokenizer (`Cvae`, `vocab_size`)."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()

    depth: Layers = 16
    embed_dim: Count = 1024
    num_heads: Count = 16
    mlp_ratio: Annotated[float, Field(gt=0)] = 4.0
    num_classes: Count = 1000
    vocab_size: Count = 4096
    Cvae: Count = 32
    patch_nums: tuple[Count, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
    shared_aln: Flag = False
    attn_l2_norm: Flag = True

    def check(self, where: str) -> None:
        """Whole heads."""
        super().check(where)
        if self.embed_dim % self.num_heads:
            raise InputError(
                f"{where}: embed_dim: expected a multiple of num_heads ({self.num_heads}), found"
                f" {self.embed_dim}"
            )

    @property
    def tokens(self) -> int:
        """Tokens of all scales."""
        return sum(side**2 for side in self.patch_nums)

    def network(self) -> Network:
        """Tokens and their image's row, the layers, and logits of every token."""
        hidden = self.embed_dim
        patches = Patches(
            *(self.Cvae, hidden, self.tokens),
            path="",
            names=("word_embed", "pos_1LC"),
        )
        vectors = Vectors("vectors", hidden, 6, "shared_ada_lin")
        return Network(
            hidden=hidden,
            before=(
                Labels(hidden, self.num_classes + 1, "class_emb"),
                patches,
                Positions(len(self.patch_nums), hidden, "lvl_embed", "scales"),
                *((vectors,) if self.shared_aln else ()),
            ),
            layers=grouped([self._layer()] * self.depth),
            after=(
                Vectors("final vectors", hidden, 2, "head_nm.ada_lin"),
                Norm("final norm", "head_nm.ln", hidden, "layer without weights"),
                Modulated("final", hidden, ("scale", "shift")),
                Projection("head", hidden, self.vocab_size, "head", part="head", bias=True),
            ),
            generates=False,
        )

    def _layer(self) -> tuple[Block, ...]:
        """Attention and an MLP, each modulated before and gated behind."""
        hidden, heads = self.embed_dim, self.num_heads
        attention = Attention(
            *(hidden, heads, heads, hidden // heads),
            qkv_bias=True,
            key_bias=False,
            output_bias=True,
            rotated=0,
            causal=False,
            qk_norm=self.attn_l2_norm,
            path=f"{LAYER}.attn",
            head_norm=HeadNorm(gains="none"),
            names=("mat_qkv", "mat_qkv", "mat_qkv", "proj"),
        )
        inner = round(hidden * self.mlp_ratio)
        mlp = PlainMlp(hidden, inner, "gelu_pytorch_tanh", path=f"{LAYER}.ffn")
        own = Vectors("vectors", hidden, 6, f"{LAYER}.ada_lin")
        return (
            *(() if self.shared_aln else (own,)),
            *self._branch("attention", attention),
            *self._branch("mlp", mlp),
        )

    def _branch(self, name: str, block: Block) -> tuple[Block, ...]:
        hidden = self.embed_dim
        return (
            Norm(f"{name} norm", f"{LAYER}.ln_wo_grad", hidden, "layer without weights"),
            Modulated(f"{name} norm", hidden, ("scale", "shift")),
            block,
            Modulated(f"{name} output", hidden, ("gate",)),
            Residual(f"{name} residual", hidden),
        )
