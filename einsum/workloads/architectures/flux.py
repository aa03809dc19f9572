"""Flux and Stable Diffusion 3: diffusion transformers on tokens of an image and of its text.

`FluxTransformer2DModel` and `SD3Transformer2DModel` of diffusers. Layers of two streams keep image
and text apart but in attention; Flux's later layers run on both as one stream, attention and MLP
side by side. A step is one pass of denoising: `prefill`, whose `prompt` is the tokens of a latent
(1,024 x 1,024 pixels are 4,096); the text's stand beside them, `text_tokens`, which is no key of
checkpoints: `model.but(text_tokens=256)`.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.joint import Joint, OfText, Single
from hwmodel.einsum.workloads.blocks.modulation import Embedder, Modulated, Vectors
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.record import Config, Count, Flag, Layers, Names, Whole
from hwmodel.quantity.errors import CoverageError

MODEL_TYPES = ("FluxTransformer2DModel", "SD3Transformer2DModel")
LAYER, ONE = "transformer_blocks.{layer}", "single_transformer_blocks.{layer}"
ACT = "gelu_pytorch_tanh"


class Streams(Config):
    """What both share: heads, ends, a layer of two streams."""

    ALIASES: ClassVar[Names] = {"num_layers": "num_hidden_layers"}

    patch_size: Count = 1
    in_channels: Count = 64
    out_channels: Count | None = None
    num_hidden_layers: Layers = 19
    attention_head_dim: Count = 128
    num_attention_heads: Count = 24
    joint_attention_dim: Count = 4096
    pooled_projection_dim: Count = 768
    text_tokens: Count = 512

    @property
    def hidden_size(self) -> int:
        """Columns of all heads."""
        return self.num_attention_heads * self.attention_head_dim

    def embedded(self) -> tuple[Block, ...]:
        """Tokens of the image."""
        raise NotImplementedError

    def rows(self) -> tuple[Block, ...]:
        """An image's row: of its timestep, and of its text as a whole."""
        path, hidden = "time_text_embed", self.hidden_size
        return (
            Embedder("timestep", 256, hidden, f"{path}.timestep_embedder"),
            Embedder("text row", self.pooled_projection_dim, hidden, f"{path}.text_embedder"),
        )

    def layers(self) -> list[tuple[Block, ...]]:
        """All layers."""
        raise NotImplementedError

    def network(self) -> Network:
        """Both embeddings, the layers, and a product to what each patch becomes."""
        hidden, made = self.hidden_size, self.out_channels or self.in_channels
        sizes = (self.joint_attention_dim, hidden, "context_embedder")
        text = Projection("text", *sizes, bias=True)
        patch = self.patch_size**2 * made
        return Network(
            hidden=hidden,
            before=(*self.embedded(), OfText(text, self.text_tokens), *self.rows()),
            layers=grouped(self.layers()),
            after=(
                Vectors("final vectors", hidden, 2, "norm_out.linear"),
                Norm("final norm", "norm_out", hidden, "layer without weights"),
                Modulated("final", hidden, ("scale", "shift")),
                Projection("output", hidden, patch, "proj_out", part="head", bias=True),
            ),
            generates=False,
        )

    def heads(self, path: str, names: tuple[str, str, str, str], normed: bool) -> Attention:
        """Attention of these sizes; its norms are told by the stream."""
        hidden, heads = self.hidden_size, self.num_attention_heads
        return Attention(
            *(hidden, heads, heads, self.attention_head_dim),
            qkv_bias=True,
            output_bias=True,
            qk_norm=normed,
            rotated=None if self.turned else 0,
            causal=False,
            cached=False,
            path=path,
            names=names,
        )

    @property
    def turned(self) -> bool:
        """Whether positions are rotations."""
        return True

    def two(self, normed: bool, *, ends: bool = False, dual: bool = False) -> tuple[Block, ...]:
        """A layer of two streams; the text's may end, the image attend to itself too (`dual`)."""
        path, tokens = f"{LAYER}.attn", self.text_tokens
        image = self.heads(path, ("to_q", "to_k", "to_v", "to_out.0"), normed)
        words = self.heads(path, ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"), normed)
        text = (
            *self._before("text", "norm1_context", 2 if ends else 6),
            *(() if ends else self._after("text", "ff_context")),
        )
        alone = self.heads(f"{LAYER}.attn2", ("to_q", "to_k", "to_v", "to_out.0"), normed)
        more = (
            Modulated("second norm", self.hidden_size, ("scale", "shift")),
            alone,
            Modulated("second output", self.hidden_size, ("gate",)),
            Residual("second residual", self.hidden_size),
        )
        return (
            *self._before("image", "norm1", 9 if dual else 6),
            *(OfText(block, tokens) for block in text[:3]),
            Joint(image, words, tokens, ends),
            *self._after("image", "ff")[:2],
            *(more if dual else ()),
            *self._after("image", "ff")[2:],
            *(OfText(block, tokens) for block in text[3:]),
        )

    def _before(self, name: str, path: str, vectors: int) -> tuple[Block, ...]:
        """Vectors of a stream, a norm, what they do to it."""
        hidden = self.hidden_size
        return (
            Vectors(f"{name} vectors", hidden, vectors, f"{LAYER}.{path}.linear"),
            Norm(f"{name} norm", f"{LAYER}.{path}", hidden, "layer without weights"),
            Modulated(f"{name} norm", hidden, ("scale", "shift")),
        )

    def _after(self, name: str, path: str) -> tuple[Block, ...]:
        """What attention has made, gated and added; an MLP, modulated and gated."""
        hidden = self.hidden_size
        return (
            Modulated(f"{name} output", hidden, ("gate",)),
            Residual(f"{name} residual", hidden),
            Norm(f"{name} mlp norm", f"{LAYER}.{path}.norm", hidden, "layer without weights"),
            Modulated(f"{name} mlp norm", hidden, ("scale", "shift")),
            PlainMlp(
                *(hidden, 4 * hidden, ACT),
                path=f"{LAYER}.{path}.net",
                names=("0.proj", "2"),
                counted="mlp",
            ),
            Modulated(f"{name} mlp output", hidden, ("gate",)),
            Residual(f"{name} mlp residual", hidden),
        )

    def notes(self) -> tuple[str, ...]:
        """The text."""
        return (f"text_tokens: {self.text_tokens} tokens of text stand beside an image's",)


class Flux(Streams):
    """Layers of two streams, then of one; a row of guidance by key."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"axes_dims_rope"})

    num_single_layers: Whole = 38
    guidance_embeds: Flag = False

    def embedded(self) -> tuple[Block, ...]:
        """A product of each patch."""
        inputs = self.in_channels * self.patch_size**2
        return (Projection("patches", inputs, self.hidden_size, "x_embedder", bias=True),)

    def rows(self) -> tuple[Block, ...]:
        """With that of guidance."""
        path = "time_text_embed.guidance_embedder"
        more = (Embedder("guidance", 256, self.hidden_size, path),)
        return (*super().rows(), *(more if self.guidance_embeds else ()))

    def layers(self) -> list[tuple[Block, ...]]:
        """Two streams, then one."""
        return [self.two(True)] * self.num_hidden_layers + [self.one()] * self.num_single_layers

    def one(self) -> tuple[Block, ...]:
        """A layer of one stream."""
        hidden, path = self.hidden_size, f"{ONE}.attn"
        heads = self.heads(path, ("to_q", "to_k", "to_v", "none"), True)
        made = (
            Vectors("vectors", hidden, 3, f"{ONE}.norm.linear"),
            Norm("norm", f"{ONE}.norm", hidden, "layer without weights"),
            Modulated("norm", hidden, ("scale", "shift")),
            Single(heads, 4 * hidden, ACT, ONE),
            Modulated("output", hidden, ("gate",)),
            Residual("residual", hidden),
        )
        return tuple(OfText(block, self.text_tokens, both=True) for block in made)


class StableDiffusion3(Streams):
    """Two streams throughout, of which the text's ends before the last layer's MLP."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        {"pos_embed_max_size", "sample_size", "caption_projection_dim"}
    )

    patch_size: Count = 2
    in_channels: Count = 16
    out_channels: Count | None = 16
    num_hidden_layers: Layers = 18
    attention_head_dim: Count = 64
    num_attention_heads: Count = 18
    pooled_projection_dim: Count = 2048
    dual_attention_layers: tuple[int, ...] = ()
    qk_norm: str | None = None
    text_tokens: Count = 333

    @property
    def turned(self) -> bool:
        """Positions are added."""
        return False

    def embedded(self) -> tuple[Block, ...]:
        """A product of each patch; positions, which are no parameters, are added."""
        inputs = self.in_channels * self.patch_size**2
        return (Patches(inputs, self.hidden_size, 0, 0, path="pos_embed", names=("proj", "")),)

    def layers(self) -> list[tuple[Block, ...]]:
        """All of two streams."""
        last, dual = self.num_hidden_layers - 1, frozenset(self.dual_attention_layers)
        normed = self.qk_norm is not None
        layers = range(self.num_hidden_layers)
        return [self.two(normed, ends=layer == last, dual=layer in dual) for layer in layers]

    def check(self, where: str) -> None:
        """A norm that is modelled."""
        super().check(where)
        if self.qk_norm not in (None, "rms_norm"):
            raise CoverageError(
                f"{where}: qk_norm: {self.qk_norm!r} is not modelled; expected 'rms_norm' or null"
            )


RECORDS = {"FluxTransformer2DModel": Flux, "SD3Transformer2DModel": StableDiffusion3}
