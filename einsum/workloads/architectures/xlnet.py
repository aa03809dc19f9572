"""XLNet (arXiv 1906.08237) as an encoder: scores of queries on distances beside those of attention.

`XLNetConfig`. Products of attention have no biases; vectors of heads are added to queries.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.distances import Distances
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Layers, Names

MODEL_TYPES = ("xlnet",)


class Config(Encoder):
    """Norms behind residual additions, no table of positions."""

    ALIASES: ClassVar[Names] = {
        **{"d_model": "hidden_size", "n_layer": "num_hidden_layers"},
        **{"n_head": "num_attention_heads", "d_inner": "intermediate_size"},
        **{"d_head": "head_dim", "ff_activation": "hidden_act"},
    }
    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | frozenset(
        "attn_type bi_data clamp_len end_n_top start_n_top mem_len reuse_len same_length untie_r"
        " use_mems_eval use_mems_train n_token dropatt".split()
    )
    AFTER: ClassVar[bool] = True
    NORMS: ClassVar[Norms] = ("rel_attn.layer_norm", None, "ff.layer_norm", None)
    LAYER: ClassVar[str] = "layer.{layer}"
    EMBEDDING: ClassVar[str] = "word_embedding"

    vocab_size: Count = 32000
    hidden_size: Count = 1024
    intermediate_size: Count | None = 4096
    num_hidden_layers: Layers = 24
    num_attention_heads: Count = 16
    head_dim: Count | None = 64

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, and the row of a masked one."""
        return (*super().embedded(), Held("mask_emb", (1, 1, self.hidden_size), "embedding"))

    def attention(self, window: int | None) -> Block:
        """Attention without biases, and scores of distances, of two for each token."""
        path = f"{self.LAYER}.rel_attn"
        sizes = (self.hidden_size, self.num_attention_heads, self.head_size)
        vectors = (("r_r_bias", 1), ("r_s_bias", 1), ("r_w_bias", 1), ("seg_embed", 2))
        told = tuple((f"{path}.{name}", rows) for name, rows in vectors)
        distances = Distances(*sizes, None, 1, ((f"{path}.r", False),), told)
        plain = {"qkv_bias": False, "output_bias": False}
        return Chain(
            (distances, self.heads(window, **plain, names=("q", "k", "v", "o"), path=path))
        )

    def inner(self, layer: int) -> Block:
        """MLP by other names."""
        return self.plain(names=("layer_1", "layer_2"), path=f"{self.LAYER}.ff")
