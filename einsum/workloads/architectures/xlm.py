"""XLM and FlauBERT: BERT's layers without kinds of tokens (`XLMConfig`, `FlaubertConfig`).

Conneau and Lample, arXiv 1901.07291. Rows of languages where there are several.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Norm
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names, Values

MODEL_TYPES = ("xlm", "flaubert")


class Xlm(Encoder):
    """An MLP of four times the hidden size."""

    ALIASES: ClassVar[Names] = {
        **{"emb_dim": "hidden_size", "n_layers": "num_hidden_layers"},
        **{"n_heads": "num_attention_heads", "n_words": "vocab_size"},
    }
    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | frozenset(
        "asm embed_init_std end_n_top start_n_top init_std is_encoder lang_id mask_index unk_index"
        " bos_index eos_index pad_index layerdrop".split()
    )
    NEUTRAL: ClassVar[Values] = {"pre_norm": (False,)}
    AFTER: ClassVar[bool] = True
    NORMS: ClassVar[Norms] = ("layer_norm1", None, "layer_norm2", None)
    LAYER: ClassVar[str] = "layers.{layer}"
    EMBEDDING: ClassVar[str] = "embeddings"

    vocab_size: Count = 30145
    hidden_size: Count = 2048
    intermediate_size: Count | None = None
    num_hidden_layers: Layers = 12
    num_attention_heads: Count = 16
    max_position_embeddings: Any = 512
    gelu_activation: Flag = True
    sinusoidal_embeddings: Flag = False
    causal: Flag = False
    n_langs: Count = 1
    use_lang_emb: Flag = True

    @property
    def inner_size(self) -> int:
        """Columns between the products of the MLP."""
        return self.intermediate_size or 4 * self.hidden_size

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, positions, languages, and a norm."""
        size = self.hidden_size
        more = [Positions(int(self.max_position_embeddings), size, "position_embeddings")]
        if self.n_langs > 1 and self.use_lang_emb:
            more.append(Positions(self.n_langs, size, "lang_embeddings", "languages"))
        norm = Norm("embedding norm", "layer_norm_emb", size, self.NORM)
        return (*super().embedded(), *more, norm)

    def attention(self, window: int | None) -> Block:
        """Attention by other names."""
        names = ("q_lin", "k_lin", "v_lin", "out_lin")
        path = self.LAYER.replace("layers", "attentions")
        return self.heads(window, causal=self.causal, names=names, path=path)

    def inner(self, layer: int) -> Block:
        """MLP by other names."""
        act = "gelu" if self.gelu_activation else "relu"
        path = self.LAYER.replace("layers", "ffns")
        return self.plain(names=("lin1", "lin2"), path=path, act=act)


RECORDS = {"xlm": Xlm, "flaubert": Xlm}
