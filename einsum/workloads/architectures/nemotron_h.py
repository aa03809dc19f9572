"""Nemotron-H and Nemotron 3: one of Mamba-2, attention, MLP or experts a layer (`NemotronHConfig`).

`hybrid_override_pattern` says which: M, *, - and E. Attention is not rotated; MLPs and experts are
two products with a squared ReLU between. Experts may read latents: a product for all of them before
and one after (Nemotron 3 Super and Ultra).
"""

from collections.abc import Callable, Iterable
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.beside import Beside
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.mamba import Mamba2
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.decoder import check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.mixers import Mixers
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole, state_format
from hwmodel.quantity.errors import CoverageError, InputError

MODEL_TYPES = ("nemotron_h",)
LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""What a letter of the pattern means."""
ALIKE = {"linear_attention": "mamba", "full_attention": "attention"}
"""Newer names of kinds of layers."""


def _kinds(pattern: str | None, said: Iterable[str]) -> tuple[str, ...]:
    """Kinds of layers by the letters of a pattern, or by their names where there is none."""
    if pattern is not None:
        return tuple(LETTERS.get(letter, letter) for letter in pattern.replace("|", ""))
    return tuple(ALIKE.get(kind, kind) for kind in said)


class Config(Mixers):
    """The keys of `NemotronHConfig`; names of Mamba's keys without `mamba` too."""

    ALIASES: ClassVar[Names] = {
        **{"mamba_n_groups": "n_groups", "mamba_d_conv": "conv_kernel"},
        **{"mamba_conv_bias": "use_conv_bias", "mamba_chunk_size": "chunk_size"},
        **{"layer_types": "layers_block_type", "num_local_experts": "n_routed_experts"},
        "attention_head_dim": "head_dim",
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "expand mamba_hidden_act moe_shared_expert_overlap attn_layer_indices use_bias hidden_act"
        " moe_latent_bias partial_rotary_factor sliding_window".split()
    )
    LAYER: ClassVar[str] = "backbone.layers.{layer}"

    vocab_size: Count = 131072
    hidden_size: Count = 4096
    num_hidden_layers: Count | None = None
    hybrid_override_pattern: str | None = None
    layers_block_type: tuple[str, ...] | None = None
    num_attention_heads: Count = 32
    num_key_value_heads: Count | None = 8
    head_dim: Count = 128
    attention_bias: Flag = False
    intermediate_size: Count = 21504
    mlp_hidden_act: str = "relu2"
    mlp_bias: Flag = False
    ssm_state_size: Count = 128
    mamba_num_heads: Count = 128
    mamba_head_dim: Count = 64
    n_groups: Count = 8
    conv_kernel: Count = 4
    chunk_size: Count = 128
    use_conv_bias: Flag = True
    mamba_proj_bias: Flag = False
    mamba_ssm_cache_dtype: str | None = None
    n_routed_experts: Whole = 8
    n_shared_experts: Whole = 1
    moe_intermediate_size: Count = 7688
    moe_shared_expert_intermediate_size: Whole = 7688
    moe_latent_size: Count | None = None
    num_experts_per_tok: Count = 2
    norm_topk_prob: Flag = True
    n_group: Count = 1
    topk_group: Count = 1
    mtp_hybrid_override_pattern: str | None = None
    mtp_layers_block_type: tuple[str, ...] | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each layer is."""
        usual = ("mamba", "moe", "attention", "mlp")
        return _kinds(self.hybrid_override_pattern, self.layers_block_type or usual)

    def network(self) -> Network:
        """The layers by their pattern."""
        return self.between([self._layer(kind) for kind in self.kinds])

    def further(self, network: Network) -> tuple[Block, ...]:
        """Layers of a module that predicts a further token, by a pattern of their own."""
        kinds = _kinds(self.mtp_hybrid_override_pattern, self.mtp_layers_block_type or ())
        several = tuple(block for kind in kinds for block in self._layer(kind))
        return several or super().further(network)

    def _layer(self, kind: str) -> tuple[Block, ...]:
        made: dict[str, Callable[[], Block]] = {
            **{"mamba": self._mamba, "attention": self._attention},
            **{"mlp": self._mlp, "moe": self._experts},
        }
        return self.single(made[kind](), kind)

    def _mamba(self) -> Block:
        return Mamba2(
            *(self.hidden_size, self.mamba_num_heads, self.mamba_head_dim, self.n_groups),
            *(self.ssm_state_size, self.conv_kernel, self.chunk_size, self.mamba_proj_bias),
            conv_bias=self.use_conv_bias,
            path=f"{self.LAYER}.mixer",
            state_format=state_format(self.mamba_ssm_cache_dtype),
        )

    def _attention(self) -> Block:
        return Attention(
            *(self.hidden_size, self.num_attention_heads),
            *(self.num_key_value_heads or self.num_attention_heads, self.head_dim),
            qkv_bias=self.attention_bias,
            output_bias=self.attention_bias,
            rotated=0,
            path=f"{self.LAYER}.mixer",
        )

    def _plain(self, width: int, path: str, counted: str) -> PlainMlp:
        names = ("up_proj", "down_proj")
        return PlainMlp(
            *(self.hidden_size, width, self.mlp_hidden_act, self.mlp_bias, path, names, counted)
        )

    def _mlp(self) -> Block:
        return self._plain(self.intermediate_size, f"{self.LAYER}.mixer", "intermediate_size")

    def _experts(self) -> Block:
        path, latent = f"{self.LAYER}.mixer", self.moe_latent_size
        routed: Block = Mixture(
            hidden=latent or self.hidden_size,
            experts=self.n_routed_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            normalised=self.norm_topk_prob,
            path=path,
            names=("up_proj", "down_proj"),
            scoring=Scoring(
                *("sigmoid", self.norm_topk_prob, True, self.n_group, self.topk_group, True)
            ),
            act=self.mlp_hidden_act,
            router_width=self.hidden_size,
        )
        if latent is not None:
            sides = ((self.hidden_size, latent, "fc1"), (latent, self.hidden_size, "fc2"))
            into, back = (
                Projection(f"{name} latent", a, b, f"{path}.{name}_latent_proj", part="experts")
                for a, b, name in sides
            )
            routed = Chain((into, routed, back))
        width = self.moe_shared_expert_intermediate_size * self.n_shared_experts
        if not width:
            return routed
        counted = "moe_shared_expert_intermediate_size"
        return Beside(
            self.hidden_size, routed, self._plain(width, f"{path}.shared_experts", counted)
        )

    def check(self, where: str) -> None:
        """Layers of known kinds, as many as said; no more experts a token than there are."""
        super().check(where)
        check_experts(where, self.n_routed_experts, self.num_experts_per_tok)
        ahead = _kinds(self.mtp_hybrid_override_pattern, self.mtp_layers_block_type or ())
        for kind in (*self.kinds, *ahead):
            if kind not in LETTERS.values():
                raise CoverageError(
                    f"{where}: hybrid_override_pattern: {kind!r} is not modelled; expected one of"
                    f" {', '.join(LETTERS)}"
                )
        said = self.num_hidden_layers
        if self.hybrid_override_pattern is not None and said not in (None, len(self.kinds)):
            raise InputError(
                f"{where}: hybrid_override_pattern: expected a letter for each of the {said}"
                f" layers, found {len(self.kinds)}"
            )
