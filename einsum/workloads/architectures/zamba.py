"""Zamba (arXiv 2405.16712) and Zamba 2 (arXiv 2411.15242): mixers, and a transformer they share.

`ZambaConfig`, `Zamba2Config`. In layers that are hybrid a transformer block reads hidden states and
the embedding side by side; its weights are one block's, or a few blocks' in turn, and each such
layer has a product of its own behind it (and adapters, in Zamba 2). Zamba's mixer divides its
channels into heads, each with products of its own for steps, keys and queries: as many weights and
operations as one for all, as which they are counted.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.adapter import Adapter
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mamba import Mamba, Mamba2
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.mixers import Mixers, rank
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names, Whole
from hwmodel.quantity.errors import CoverageError

MODEL_TYPES = ("zamba", "zamba2")
KINDS = ("mamba", "linear_attention", "hybrid")


class Zamba(Mixers):
    """The keys of `ZambaConfig`."""

    ALIASES: ClassVar[Names] = {"layer_types": "layers_block_type"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "attention_hidden_size hybrid_layer_ids kv_channels num_query_groups mamba_headdim"
        " use_long_context head_dim num_logits_to_keep ft_mlp".split()
    )
    LAYER: ClassVar[str] = "model.layers.{layer}"
    EMBEDDING: ClassVar[str] = "model.embed_tokens"
    FINAL: ClassVar[str] = "model.final_layernorm"

    vocab_size: Count = 32000
    hidden_size: Count = 3712
    intermediate_size: Count | None = 14848
    num_hidden_layers: Layers = 76
    num_attention_heads: Count = 16
    num_key_value_heads: Count | None = 16
    attention_head_dim: Count | None = None
    n_mamba_heads: Count = 2
    hidden_act: str = "gelu"
    hidden_mamba_act: str = "silu"
    tie_word_embeddings: Flag = True
    attn_layer_period: Count = 6
    attn_layer_offset: Whole = 4
    layers_block_type: tuple[str, ...] | None = None
    mamba_d_state: Count = 16
    mamba_d_conv: Count = 4
    mamba_expand: float = 2
    mamba_dt_rank: Count | str = "auto"
    mamba_conv_bias: Flag = True
    mamba_proj_bias: Flag = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each layer is."""
        if self.layers_block_type is not None:
            return self.layers_block_type
        period, offset = self.attn_layer_period, self.attn_layer_offset
        others = ["hybrid" if n % period == offset else "mamba" for n in range(10**3)]
        return ("mamba", "mamba", "hybrid", *others)[: self.num_hidden_layers]

    @property
    def blocks(self) -> int:
        """Transformer blocks that layers share in turn."""
        return 1

    def network(self) -> Network:
        """Mixers, and the shared transformer before some of them."""
        seen, layers = 0, list[tuple[Block, ...]]()
        for kind in self.kinds:
            hybrid = kind == "hybrid"
            before = self._shared(seen) if hybrid else ()
            layers.append((*before, *self._mixed(".mamba_decoder" if hybrid else "")))
            seen += hybrid
        return self.between(layers)

    def _mixed(self, inside: str) -> tuple[Block, ...]:
        """A mixer with its norm and residual addition."""
        path, hidden = f"{self.LAYER}{inside}", self.hidden_size
        norm = Norm("mixer norm", f"{path}.input_layernorm", hidden)
        return norm, self.mixer(f"{path}.mamba"), Residual("mixer residual", hidden)

    def mixer(self, path: str) -> Block:
        """A mixer of these sizes."""
        return Mamba(
            hidden=self.hidden_size,
            inner=int(self.mamba_expand * self.hidden_size),
            state=self.mamba_d_state,
            rank=rank(self.mamba_dt_rank, self.hidden_size),
            taps=self.mamba_d_conv,
            bias=self.mamba_proj_bias,
            conv_bias=self.mamba_conv_bias,
            act=self.hidden_mamba_act,
            path=path,
        )

    def _shared(self, number: int) -> tuple[Block, ...]:
        """The transformer of the hybrid layer of this number, and the layer's own product."""
        hidden, path = self.hidden_size, f"{self.LAYER}.shared_transf"
        made: tuple[Block, ...] = (
            Norm("attention norm", f"{path}.input_layernorm", 2 * hidden),
            self._attention(f"{path}.self_attn"),
            Norm("mlp norm", f"{path}.pre_ff_layernorm", hidden),
            self.mlp(f"{path}.feed_forward"),
        )
        if number >= self.blocks:
            made = tuple(map(Reused, made))
        linear = Projection("shared output", hidden, hidden, f"{self.LAYER}.linear", part="mlp")
        return (*made, *self.adapters(path), linear, Residual("shared residual", hidden))

    def _attention(self, path: str) -> Block:
        heads = self.num_attention_heads
        return Attention(
            *(2 * self.hidden_size, heads, self.num_key_value_heads or heads),
            self.attention_head_dim or 2 * self.hidden_size // heads,
            makes=self.hidden_size,
            path=path,
            **self.turned,
        )

    @property
    def turned(self) -> dict[str, Any]:
        """Attention without positions."""
        return {"rotated": 0}

    @property
    def inner_size(self) -> int:
        """Columns of the MLP."""
        return self.intermediate_size or 4 * self.hidden_size

    def mlp(self, path: str) -> Mlp:
        """The shared MLP."""
        return Mlp(self.hidden_size, self.inner_size, path=path, act=self.hidden_act)

    def adapters(self, path: str) -> tuple[Block, ...]:
        """None."""
        return ()

    def check(self, where: str) -> None:
        """Layers of known kinds."""
        super().check(where)
        for kind in self.kinds:
            if kind not in KINDS:
                raise CoverageError(
                    f"{where}: layers_block_type: {kind!r} is not modelled; expected one of"
                    f" {', '.join(KINDS)}"
                )


class Zamba2(Zamba):
    """Mamba-2, blocks in turn, adapters."""

    hidden_size: Count = 2560
    intermediate_size: Count | None = None
    num_hidden_layers: Layers = 54
    num_attention_heads: Count = 32
    num_key_value_heads: Count | None = None
    n_mamba_heads: Count = 8
    mamba_d_state: Count = 64
    mamba_ngroups: Count = 1
    use_conv_bias: Flag = True
    chunk_size: Count = 256
    add_bias_linear: Flag = False
    num_mem_blocks: Count = 1
    use_shared_attention_adapter: Flag = False
    adapter_rank: Count = 128
    use_mem_rope: Flag = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each layer is, said or as the 2.7B."""
        if self.layers_block_type is not None:
            return self.layers_block_type
        usual = "m" + "mmmmmh" * 7 + "mmmmh" + "mmmh" + "mm"
        return tuple("hybrid" if kind == "h" else "mamba" for kind in usual)

    @property
    def blocks(self) -> int:
        """Transformer blocks that layers share in turn."""
        return self.num_mem_blocks

    @property
    def turned(self) -> dict[str, Any]:
        """Positions by key."""
        return {} if self.use_mem_rope else {"rotated": 0}

    def mixer(self, path: str) -> Block:
        """A mixer of these sizes."""
        size = int(self.mamba_expand * self.hidden_size) // self.n_mamba_heads
        return Mamba2(
            *(self.hidden_size, self.n_mamba_heads, size, self.mamba_ngroups, self.mamba_d_state),
            *(self.mamba_d_conv, self.chunk_size, self.add_bias_linear, self.use_conv_bias),
            path=path,
        )

    def mlp(self, path: str) -> Mlp:
        """The shared MLP, gate and up one module."""
        names = ("gate_up_proj", "gate_up_proj", "down_proj")
        return Mlp(
            *(self.hidden_size, self.inner_size, self.add_bias_linear, path, names),
            act=self.hidden_act,
        )

    def adapters(self, path: str) -> tuple[Block, ...]:
        """The MLP's, and by key those of q, k and v."""
        outer, size = self.hidden_size, self.adapter_rank
        mlp = self.mlp(path)
        made = [
            Adapter(
                *(outer, size, 2 * self.inner_size, mlp.split),
                f"{path}.feed_forward.gate_up_proj_adapter_list",
            )
        ]
        if self.use_shared_attention_adapter:
            heads = Attention(2 * outer, self.num_attention_heads, self.num_attention_heads, 1)
            made += [
                Adapter(
                    *(2 * outer, size, 2 * outer, heads.query_split),
                    *(f"{path}.self_attn.linear_{name}_adapter_list", "attention"),
                )
                for name in "qkv"
            ]
        return tuple(made)


RECORDS: dict[str, type[AnyConfig]] = {"zamba": Zamba, "zamba2": Zamba2}
