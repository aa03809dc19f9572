"""DeepSeek V4 (`DeepseekV4Config`): compressed attention, hyper-connections, experts everywhere.

Layers differ in what they see beyond a window: nothing, entries of 4 tokens of which an indexer
chooses, or entries of 128 that are all read. The first layers choose experts by the token (a table,
which is counted as any router). Hidden states are four streams, mixed around each block.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.compressed import Compressed, Compressor
from hwmodel.einsum.workloads.blocks.indexer import Indexer
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Norm
from hwmodel.einsum.workloads.blocks.streams import Collapse, Combine, Spread
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole
from hwmodel.quantity.errors import CoverageError, InputError

MODEL_TYPES = ("deepseek_v4", "deepseek_ref")

SLIDING, SPARSE, HEAVY = (
    *("sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"),
)
RATES: Final = {SPARSE: 4, HEAVY: 128}
KINDS: Final = {0: SLIDING, 4: SPARSE, 128: HEAVY}


class Config(Decoder):
    """`compress_ratios` (a number a layer) is an older way to say `layer_types`."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {"num_local_experts": "n_routed_experts"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        ("compress_rope_theta", "swiglu_limit", "expert_dtype", "mlp_bias", "num_hash_layers")
    )

    hidden_size: Count = 4096
    intermediate_size: Count | None = None
    moe_intermediate_size: Count = 2048
    num_attention_heads: Count = 64
    num_key_value_heads: Count | None = 1
    head_dim: Count | None = 512
    attention_bias: Flag = False
    q_lora_rank: Count = 1024
    qk_rope_head_dim: Count | None = None
    partial_rotary_factor: float | None = None
    n_routed_experts: Count = 256
    n_shared_experts: Whole | None = 1
    num_experts_per_tok: Count = 6
    norm_topk_prob: Flag = True
    routed_scaling_factor: float | None = 1.5
    scoring_func: str = "sqrtsoftplus"
    sliding_window: Count = 128
    o_groups: Count = 8
    o_lora_rank: Count = 1024
    index_n_heads: Count = 64
    index_head_dim: Count = 128
    index_topk: Count = 512
    compress_rates: dict[str, Count] | None = None
    compress_ratios: tuple[Whole, ...] | None = None
    mlp_layer_types: tuple[str, ...] | None = None
    hc_mult: Count = 4
    hc_sinkhorn_iters: Count = 20

    @property
    def inner_size(self) -> int:
        """Columns of an expert, and of a shared one."""
        return self.moe_intermediate_size

    @property
    def turned(self) -> int:
        """Elements of a head that have positions."""
        share = 64 / 512 if self.partial_rotary_factor is None else self.partial_rotary_factor
        return self.qk_rope_head_dim or int(self.head_size * share)

    def kinds(self) -> tuple[str, ...]:
        """What each layer sees beyond its window."""
        layers = self.num_hidden_layers
        if self.layer_types is not None:
            return self.layer_types[:layers]
        if self.compress_ratios is not None:
            return tuple(KINDS[ratio] for ratio in self.compress_ratios[:layers])
        return tuple(SPARSE if layer > 1 and layer % 2 else HEAVY for layer in range(layers))

    def network(self) -> Network:
        """The layers, each with the kind of attention that it has."""
        inner = self.inner(0)
        return self.between([self.streamed(self.compressed(kind), inner) for kind in self.kinds()])

    def compressed(self, kind: str) -> Block:
        """Attention of one kind."""
        path = f"{self.LAYER}.self_attn"
        rate = {**RATES, **(self.compress_rates or {})}.get(kind)
        sparse, more = kind == SPARSE, dict[str, Any]()
        if rate is not None:
            entries = Compressor(
                *(self.hidden_size, self.head_size, rate, sparse, f"{path}.compressor")
            )
            more["compressor"] = entries
            if sparse:
                where, dim = f"{path}.compressor.indexer", self.index_head_dim
                more["index"] = replace(entries, dim=dim, path=where, name="index entries")
                more["indexer"] = Indexer(
                    *(self.hidden_size, self.q_lora_rank, self.index_n_heads, dim, self.turned),
                    path=where,
                )
                more["chosen"] = self.index_topk
        return Compressed(
            hidden=self.hidden_size,
            heads=self.num_attention_heads,
            head_dim=self.head_size,
            turned=self.turned,
            query_rank=self.q_lora_rank,
            groups=self.o_groups,
            group_rank=self.o_lora_rank,
            window=self.sliding_window,
            path=path,
            **more,
        )

    def inner(self, layer: int) -> Block:
        """Experts, and a shared one."""
        kind = self.scoring_func
        routed = self.experts(
            experts=self.n_routed_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            scoring=Scoring(
                kind if kind in ("softmax", "sigmoid") else "sqrtsoftplus",
                normalised=self.norm_topk_prob,
                corrected=True,
                scaled=self.routed_scaling_factor not in (None, 1.0),
            ),
        )
        width = (self.n_shared_experts or 0) * self.moe_intermediate_size
        return self.shared(routed, width, "mlp.shared_experts")

    def streamed(self, attention: Block, inner: Block) -> tuple[Block, ...]:
        """Both blocks, each between a collapse of the streams and their mixture."""
        hidden, streams = self.hidden_size, self.hc_mult
        names = (("attention", "attn_hc", "input_layernorm", attention),)
        names += (("mlp", "ffn_hc", "post_attention_layernorm", inner),)
        made: list[Block] = []
        for name, mixing, norm, block in names:
            path = f"{self.LAYER}.{mixing}"
            made += [
                Collapse(hidden, streams, self.hc_sinkhorn_iters, path),
                Norm(f"{name} norm", f"{self.LAYER}.{norm}", hidden),
                block,
                Combine(hidden, streams),
            ]
        return tuple(made)

    def between(self, layers: Sequence[tuple[Block, ...]]) -> Network:
        """Streams from the embedding to the final norm."""
        network, sizes = super().between(layers), (self.hidden_size, self.hc_mult)
        names = ("hc_fn", "hc_base", "hc_scale")
        last = Collapse(*sizes, iterations=0, path="model.hc_head", names=names)
        return replace(
            network,
            before=(*network.before, Spread(*sizes)),
            after=(last, *network.after),
        )

    def notes(self) -> tuple[str, ...]:
        """What is modelled in part."""
        return (
            "mixtures of streams and index scores are kernels of their own; engines fuse them",
            "layers that choose experts by the token are counted as if by a router",
        )

    def check(self, where: str) -> None:
        """Layers of known kinds, groups that divide the heads."""
        super().check(where)
        check_experts(where, self.n_routed_experts, self.num_experts_per_tok)
        size = self.num_attention_heads * self.head_size
        if size % self.o_groups:
            raise InputError(
                f"{where}: o_groups: expected a divisor of the heads' {size} elements, found"
                f" {self.o_groups}"
            )
        if self.scoring_func not in ("softmax", "sigmoid", "sqrtsoftplus"):
            raise CoverageError(
                f"{where}: scoring_func: {self.scoring_func!r} is not modelled; expected 'softmax',"
                " 'sigmoid' or 'sqrtsoftplus'"
            )

    def _check_layers(self, where: str) -> None:
        ratios, layers = self.compress_ratios or (), self.num_hidden_layers
        for ratio in ratios:
            if ratio not in KINDS:
                raise CoverageError(
                    f"{where}: compress_ratios: {ratio} is not modelled; expected 0, 4 or 128"
                )
        for kind in self.layer_types or ():
            if kind not in KINDS.values():
                raise CoverageError(
                    f"{where}: layer_types: {kind!r} is not modelled;"
                    f" expected {', '.join(KINDS.values())}"
                )
        said = self.layer_types if self.layer_types is not None else self.compress_ratios
        if said is not None and len(said) < layers:
            raise InputError(
                f"{where}: layer_types: expected one entry for each of the {layers} layers,"
                f" found {len(said)}"
            )
