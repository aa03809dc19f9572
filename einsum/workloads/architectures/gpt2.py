"""GPT-2 and StarCoder 1: learned positions, layer norms, one module for q, k and v, a plain MLP.

`GPT2Config`; `GPTBigCodeConfig` has one head of keys and values (arXiv 1911.02150) by default.
Their products are stored as `[inputs, outputs]`, which changes no count.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("gpt2", "gpt_bigcode")


class Gpt2(Decoder):
    """`n_inner` is four times the hidden size where it is null."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {
        **{
            "n_embd": "hidden_size",
            "n_layer": "num_hidden_layers",
            "n_head": "num_attention_heads",
        },
        **{"n_positions": "max_position_embeddings", "activation_function": "hidden_act"},
        **{"n_inner": "intermediate_size"},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "n_ctx scale_attn_weights scale_attn_by_inverse_layer_idx reorder_and_upcast_attn"
        " attention_softmax_in_fp32 scale_attention_softmax_in_fp32 inference_runner"
        " validate_runner_input pre_allocate_kv_cache max_sequence_length max_batch_size".split()
    )
    NORM: ClassVar[Kind] = "layer"
    NORMS: ClassVar[Norms] = ("ln_1", None, "ln_2", None)
    LAYER: ClassVar[str] = "transformer.h.{layer}"
    EMBEDDING: ClassVar[str] = "transformer.wte"
    FINAL: ClassVar[str] = "transformer.ln_f"

    intermediate_size: Count | None = None
    hidden_act: str = "gelu_new"
    tie_word_embeddings: Flag = True
    max_position_embeddings: Count = 1024

    @property
    def inner_size(self) -> int:
        """Columns between the products of the MLP."""
        return self.intermediate_size or 4 * self.hidden_size

    def embedded(self) -> tuple[Block, ...]:
        """Tokens and positions."""
        table = Positions(self.max_position_embeddings, self.hidden_size, "transformer.wpe")
        return (*super().embedded(), table)

    def attention(self, window: int | None) -> Block:
        """Attention that nothing turns, with biases of all products."""
        names = ("c_attn", "c_attn", "c_attn", "c_proj")
        return self.heads(
            *(window,),
            **{"qkv_bias": True, "output_bias": True, "rotated": 0, "names": names},
            path=f"{self.LAYER}.attn",
        )

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(names=("c_fc", "c_proj"))


class GptBigCode(Gpt2):
    """One head of keys and values, unless `multi_query` is false."""

    hidden_act: str = "gelu_pytorch_tanh"
    multi_query: Flag = True

    @property
    def key_heads(self) -> int:
        """One, or as many as of queries."""
        return 1 if self.multi_query else self.num_attention_heads


RECORDS = {"gpt2": Gpt2, "gpt_bigcode": GptBigCode}
