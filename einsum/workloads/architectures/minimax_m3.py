"""MiniMax M3's text: attention to blocks that an indexer chooses, experts and a shared one.

`MiniMaxM3VLTextConfig`, and the keys of the checkpoint's own code: `sparse_attention_config` has
the indexer's, and says by layer where it is; `moe_layer_freq` where experts are.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.block_sparse import BlockIndexer, BlockSparse
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Layers, Names, Values, Whole

MODEL_TYPES = ("minimax_m3", "minimax_m3_vl_text")
SPARSE = ("sparse_attention", "minimax_m3_sparse")


class Config(Decoder):
    """The keys of both."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {"num_experts": "num_local_experts"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "swiglu_alpha swiglu_limit use_gemma_norm use_routing_bias moe_intermediate_size"
        " index_local_blocks".split()
    )
    NEUTRAL: ClassVar[Values] = {
        **{
            "attention_output_gate": (False,),
            "qk_norm_type": ("per_head",),
            "n_shared_experts": (1,),
        },
        "use_qk_norm": (True,),
    }
    KINDS: ClassVar[tuple[str, ...]] = ("full_attention", *SPARSE)

    vocab_size: Count = 200064
    hidden_size: Count = 6144
    intermediate_size: Count | None = 3072
    num_hidden_layers: Layers = 60
    num_attention_heads: Count = 64
    num_key_value_heads: Count | None = 4
    head_dim: Count | None = 128
    hidden_act: str = "silu"
    partial_rotary_factor: float | None = None
    rotary_dim: Count = 64
    dense_intermediate_size: Count = 12288
    shared_intermediate_size: Whole = 3072
    num_local_experts: Count = 128
    num_experts_per_tok: Count = 4
    first_k_dense_replace: Whole = 3
    moe_layer_freq: tuple[int, ...] | None = None
    mlp_layer_types: tuple[str, ...] | None = None
    sparse_attention_config: dict[str, Any] | None = None
    index_n_heads: Count = 4
    index_head_dim: Count = 128
    index_block_size: Count = 128
    index_topk_blocks: Count = 16

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention to all keys, or to blocks of them."""
        heads = self.heads(None, qk_norm=True, rotated=self.rotary_dim)
        return self._chooses(heads) if self._sparse(layer) else heads

    def _chooses(self, heads: Attention) -> Block:
        said = self.sparse_attention_config or {}
        size = said.get("sparse_block_size", self.index_block_size)
        indexer = BlockIndexer(
            hidden=self.hidden_size,
            heads=said.get("sparse_num_index_heads", self.index_n_heads),
            dim=said.get("sparse_index_dim", self.index_head_dim),
            turned=min(self.rotary_dim, said.get("sparse_index_dim", self.index_head_dim)),
            size=size,
            path=f"{self.LAYER}.self_attn",
        )
        chosen = said.get("sparse_topk_blocks", self.index_topk_blocks) * size
        return BlockSparse(heads, indexer, chosen)

    def _sparse(self, layer: int) -> bool:
        if self.layer_types is not None:
            return self.layer_types[layer] in SPARSE
        said = (self.sparse_attention_config or {}).get("sparse_attention_freq")
        return bool(said[layer]) if said else layer >= self.first_k_dense_replace

    def _routed(self, layer: int) -> bool:
        if self.mlp_layer_types is not None:
            return self.mlp_layer_types[layer] == "sparse"
        said = self.moe_layer_freq
        return bool(said[layer]) if said else layer >= self.first_k_dense_replace

    def inner(self, layer: int) -> Block:
        """Experts and the shared one, or the MLP of a dense layer."""
        if not self._routed(layer):
            return self.gated(intermediate=self.dense_intermediate_size)
        routed = self.experts(
            experts=self.num_local_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            scoring=Scoring("sigmoid", normalised=True, corrected=True, scaled=True),
            counted="intermediate_size",
            act=self.hidden_act,
        )
        return self.shared(routed, self.shared_intermediate_size, "mlp.shared_experts")

    def windows(self) -> tuple[int | None, ...]:
        """No layer has one."""
        return (None,) * self.num_hidden_layers

    def notes(self) -> tuple[str, ...]:
        """What engines do otherwise."""
        return (
            *super().notes(),
            "index scores are kernels of their own, as torch computes them; engines fuse them",
        )

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)
