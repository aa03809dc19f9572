"""ModernBERT (arXiv 2412.13663): rotary encoders, gated MLPs, windows in two layers of three.

`ModernBertConfig`. A token of a layer with a window sees as many keys as `local_attention` says, on
both sides; counted as a window of so many before it. The first layer has no norm of its own.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names, Values

MODEL_TYPES = ("modernbert", "modernbert-decoder")


class ModernBert(Encoder):
    """Every third layer sees all tokens, or `layer_types` says which."""

    ALIASES: ClassVar[Names] = {"hidden_activation": "hidden_act"}
    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | frozenset(
        "global_rope_theta local_rope_theta decoder_bias deterministic_flash_attn repad_logits"
        " sparse_prediction sparse_pred_ignore_index reference_compile initializer_cutoff_factor"
        " embedding_dropout gradient_checkpointing repad_logits_with_grad".split()
    )
    NEUTRAL: ClassVar[Values] = {"norm_bias": (False,)}
    NORM: ClassVar[Kind] = "layer without shift"
    NORMS: ClassVar[Norms] = ("attn_norm", None, "mlp_norm", None)
    LAYER: ClassVar[str] = "layers.{layer}"
    EMBEDDING: ClassVar[str] = "embeddings.tok_embeddings"
    FINAL: ClassVar[str] = "final_norm"

    vocab_size: Count = 50368
    hidden_size: Count = 768
    intermediate_size: Count | None = 1152
    num_hidden_layers: Layers = 22
    num_attention_heads: Count = 12
    max_position_embeddings: Any = 8192
    attention_bias: Flag = False
    mlp_bias: Flag = False
    local_attention: Count = 128
    global_attn_every_n_layers: Count = 3

    def windows(self) -> tuple[int | None, ...]:
        """Windows by kind, said or in turn."""
        kinds, every = self.layer_types, self.global_attn_every_n_layers
        layers = range(self.num_hidden_layers)
        local = [kinds[n] == "sliding_attention" if kinds else bool(n % every) for n in layers]
        return tuple(self.local_attention if each else None for each in local)

    def embedded(self) -> tuple[Block, ...]:
        """Tokens and their norm."""
        return (*super().embedded(), *self.norm("embedding norm", "embeddings.norm"))

    def attention(self, window: int | None) -> Block:
        """Rotary attention, q, k and v one module."""
        biased = self.attention_bias
        return self.heads(
            window,
            qkv_bias=biased,
            output_bias=biased,
            rotated=None,
            causal=window is not None,
            names=("Wqkv", "Wqkv", "Wqkv", "Wo"),
            path=f"{self.LAYER}.attn",
        )

    def inner(self, layer: int) -> Block:
        """A gated MLP, gate and up one module."""
        return self.gated(bias=self.mlp_bias, names=("Wi", "Wi", "Wo"))

    def between(self, layers: Sequence[tuple[Block, ...]]) -> Network:
        """The layers, the first of them without its norm."""
        (_, *first), *others = layers
        return super().between([tuple(first), *others])

    def _check_layers(self, where: str) -> None:
        """Windows are said by `local_attention`."""


class ModernBertDecoder(Decoder):
    """The same layers, each token seeing those before it; a product and a norm before the head."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = ModernBert.ALIASES
    HARMLESS: ClassVar[frozenset[str]] = ModernBert.HARMLESS - {"decoder_bias"}
    NEUTRAL: ClassVar[Values] = ModernBert.NEUTRAL
    NORM: ClassVar[Kind] = "layer without shift"
    NORMS: ClassVar[Norms] = ModernBert.NORMS
    EMBEDDING: ClassVar[str] = "model.embeddings.tok_embeddings"
    FINAL: ClassVar[str] = "model.final_norm"
    HEAD: ClassVar[str] = "decoder"

    vocab_size: Count = 50368
    hidden_size: Count = 768
    intermediate_size: Count | None = 1152
    num_hidden_layers: Layers = 22
    num_attention_heads: Count = 12
    hidden_act: str = "gelu"
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    mlp_bias: Flag = False
    decoder_bias: Flag = True
    local_attention: Count = 128
    global_attn_every_n_layers: Count = 3
    sliding_window: Count | None = None

    def windows(self) -> tuple[int | None, ...]:
        """Half of what an encoder's tokens see: those before."""
        kinds, every = self.layer_types, self.global_attn_every_n_layers
        window = self.sliding_window or self.local_attention // 2
        layers = range(self.num_hidden_layers)
        local = [kinds[n] == "sliding_attention" if kinds else bool(n % every) for n in layers]
        return tuple(window if each else None for each in local)

    def embedded(self) -> tuple[Block, ...]:
        """Tokens and their norm."""
        return (*super().embedded(), *self.norm("embedding norm", "model.embeddings.norm"))

    def attention(self, window: int | None) -> Block:
        """Rotary attention."""
        biased = {"qkv_bias": self.attention_bias, "output_bias": self.attention_bias}
        names = ("q_proj", "k_proj", "v_proj", "Wo")
        return self.heads(window, names=names, path=f"{self.LAYER}.attn", **biased)

    def inner(self, layer: int) -> Block:
        """A gated MLP, gate and up one module."""
        return self.gated(bias=self.mlp_bias, names=("Wi", "Wi", "Wo"))

    def between(self, layers: Sequence[tuple[Block, ...]]) -> Network:
        """The layers, the first of them without its norm."""
        (_, *first), *others = layers
        return super().between([tuple(first), *others])

    def ended(self) -> tuple[Block, ...]:
        """A norm, a product with a norm behind it, the head."""
        size = self.hidden_size
        return (
            *self.norm("final norm", self.FINAL, last=True),
            Projection("head product", size, size, "lm_head.dense", True, "mlp", act="gelu"),
            *self.norm("head norm", "lm_head.norm", last=True),
            self.head(bias=self.decoder_bias),
        )

    def _check_layers(self, where: str) -> None:
        """Windows are said by `local_attention`."""


RECORDS = {"modernbert": ModernBert, "modernbert-decoder": ModernBertDecoder}
