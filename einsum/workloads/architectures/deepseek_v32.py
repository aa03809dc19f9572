"""DeepSeek V3.2 and GLM 5: DeepSeek V3 whose queries attend to tokens that an indexer chooses.

`DeepseekV32Config`, `GlmMoeDsaConfig`. In GLM 5.2 layers share a choice: those that `indexer_types`
calls "full" have an indexer, or one in `index_topk_freq` after the first `index_skip_topk_offset`,
or those with an F in `index_topk_pattern`; the others take the choice of the layer before.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.deepseek import DeepseekV3
from hwmodel.einsum.workloads.blocks.indexer import Indexer
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.record import Count, Flag, Whole
from hwmodel.quantity.errors import CoverageError, InputError

MODEL_TYPES = ("deepseek_v32", "glm_moe_dsa")
KINDS = ("indexed_attention", "deepseek_sparse_attention")
FULL, SHARED = ("full", "F"), ("shared", "S")


class DeepseekV32(DeepseekV3):
    """An indexer in every layer."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        ("mlp_bias", "indexer_rope_interleave", "index_share_for_mtp_iteration")
    )

    index_n_heads: Count = 64
    index_head_dim: Count = 128
    index_topk: Count = 2048
    mlp_layer_types: tuple[str, ...] | None = None

    def network(self) -> Network:
        """The layers, each with the indexer that it has."""
        full = self.full()
        layers = range(self.num_hidden_layers)
        return self.between([self.layer(self.chooses(full[n]), self.inner(n)) for n in layers])

    def chooses(self, full: bool) -> Any:
        """Latent attention to chosen tokens, chosen here or by the layer before."""
        indexer = Indexer(
            hidden=self.hidden_size,
            query_rank=self.q_lora_rank or self.hidden_size,
            heads=self.index_n_heads,
            dim=self.index_head_dim,
            turned=self.qk_rope_head_dim,
            path=f"{self.LAYER}.self_attn.indexer",
        )
        return self.latent(chosen=self.index_topk, indexer=indexer if full else None)

    def full(self) -> tuple[bool, ...]:
        """Which layers have an indexer."""
        return (True,) * self.num_hidden_layers

    def notes(self) -> tuple[str, ...]:
        """What engines do otherwise."""
        return (
            *super().notes(),
            "index scores are kernels of their own, as torch computes them; engines fuse them",
        )

    def check(self, where: str) -> None:
        """Layers that are as many as said, of kinds that are known; indexers that read a latent."""
        super().check(where)
        if self.q_lora_rank is None:
            raise InputError(f"{where}: expected the key 'q_lora_rank', found none")
        dense = ("dense",) * self.first_k_dense_replace
        kinds = self.mlp_layer_types
        usual = (*dense, *("sparse",) * self.num_hidden_layers)[: self.num_hidden_layers]
        if kinds is not None and kinds != usual:
            raise CoverageError(
                f"{where}: mlp_layer_types: expected first_k_dense_replace"
                f" ({self.first_k_dense_replace}) dense layers, then sparse ones"
            )

    def _check_layers(self, where: str) -> None:
        for kind in self.layer_types or ():
            if kind not in KINDS:
                raise CoverageError(
                    f"{where}: layer_types: {kind!r} is not modelled;"
                    f" expected {' or '.join(map(repr, KINDS))}"
                )


class GlmMoeDsa(DeepseekV32):
    """Layers may share a choice."""

    index_n_heads: Count = 32
    qk_nope_head_dim: Count = 192
    v_head_dim: Count = 256
    q_lora_rank: Count | None = 2048
    n_group: Count | None = 1
    topk_group: Count | None = 1
    indexer_types: tuple[str, ...] | None = None
    index_topk_pattern: tuple[str, ...] | str | None = None
    index_topk_freq: Whole = 1
    index_skip_topk_offset: Whole = 2
    rope_interleave: Flag = True

    def full(self) -> tuple[bool, ...]:
        """Layers by their kind, by a pattern, or every so many."""
        said = self.indexer_types or self.index_topk_pattern
        if said:
            return tuple(kind in FULL for kind in said)
        frequency, offset = max(1, self.index_topk_freq), self.index_skip_topk_offset
        layers = range(self.num_hidden_layers)
        return tuple(max(layer - offset + 1, 0) % frequency == 0 for layer in layers)

    def check(self, where: str) -> None:
        """A choice in the first layer, and one kind for each."""
        super().check(where)
        said = self.indexer_types or self.index_topk_pattern or ()
        for kind in said:
            if kind not in (*FULL, *SHARED):
                raise CoverageError(
                    f"{where}: indexer_types: {kind!r} is not modelled; expected 'full' or 'shared'"
                )
        full = self.full()
        if len(full) != self.num_hidden_layers or not full[0]:
            raise InputError(
                f"{where}: indexer_types: expected one for each of {self.num_hidden_layers} layers,"
                f" the first of them full, found {len(full)}"
            )


RECORDS = {"deepseek_v32": DeepseekV32, "glm_moe_dsa": GlmMoeDsa}
