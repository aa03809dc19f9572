"""Gemma 4's text (`Gemma4TextConfig`): wider heads without a window, experts beside the dense MLP.

Layers without a window have heads of their own size and number, whose keys may stand for their
values; the last layers may borrow keys and values of earlier ones. Values are normalised, without
weights. Small models give each layer an input of its own; 26B-A4B has experts beside the MLP, each
behind norms of its own. The factor of a layer is a kernel. DiffusionGemma denoises a canvas of
tokens with such layers, which are counted here token by token.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.gemma import Gemma2
from hwmodel.einsum.workloads.blocks.beside import Beside
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.per_layer import LayerInput, LayerTable
from hwmodel.einsum.workloads.blocks.scale import Scale
from hwmodel.einsum.workloads.decoder import Norms, every
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("gemma4_text", "diffusion_gemma_text")


class Gemma4(Gemma2):
    """Every sixth layer has no window, and neither has the last."""

    ALIASES: ClassVar[Names] = {"num_experts_per_tok": "top_k_experts"}

    attn_logit_softcapping: float | None = None
    final_logit_softcapping: float | None = None
    query_pre_attn_scalar: float | None = None
    sliding_window: Count | None = 512
    global_head_dim: Count | None = 512
    num_global_key_value_heads: Count | None = None
    attention_k_eq_v: Flag = False
    num_kv_shared_layers: Whole = 0
    use_double_wide_mlp: Flag = False
    vocab_size_per_layer_input: Count = 262144
    hidden_size_per_layer_input: Whole | None = 256
    enable_moe_block: Flag | None = None
    num_experts: Count | None = None
    top_k_experts: Count | None = None
    moe_intermediate_size: Count | None = None
    per_layer_config: Mapping[str, Mapping[str, Any]] | None = None

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or usual."""
        if self.layer_types is not None:
            return super().windows()
        return (*every(6, self)[:-1], None)

    def _borrows(self, layer: int) -> bool:
        return layer >= self.num_hidden_layers - self.num_kv_shared_layers > 0

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention of a layer with a window or without."""
        biased = self.attention_bias
        more: dict[str, Any] = {}
        if window is None:
            more["head_dim"] = self.global_head_dim or self.head_size
        if window is None and self.attention_k_eq_v:
            keys = self.num_global_key_value_heads or self.key_heads
            more |= {"values": False, "kv_heads": keys}
        said = {int(key): value for key, value in (self.per_layer_config or {}).items()}
        names = {"head_dim": "head_dim", "num_key_value_heads": "kv_heads"}
        more |= {names[key]: value for key, value in said.get(layer, {}).items() if key in names}
        return self.heads(
            *(window,),
            **{"qkv_bias": biased, "output_bias": biased, "qk_norm": True, "value_norm": True},
            **{"borrowed": self._borrows(layer), **more},
        )

    def inner(self, layer: int) -> Block:
        """The MLP, and experts beside it."""
        act = self.hidden_activation or "gelu_pytorch_tanh"
        double = self.use_double_wide_mlp and self._borrows(layer)
        dense = self.gated(act=act, intermediate=self.inner_size * (1 + double))
        said = self.enable_moe_block
        if not (self.num_experts if said is None else said):
            return dense
        router = self.norm("router norm", f"{self.LAYER}.router.scale")
        experts = self.experts(
            experts=self.num_experts,
            picks=self.top_k_experts,
            intermediate=self.moe_intermediate_size,
            path=self.LAYER,
            names=("gate_up_proj", "gate_up_proj", "down_proj"),
            router="router.proj",
            correction="router.per_expert_scale",
            act=act,
            stacked=True,
        )
        first = self.norm("dense norm", f"{self.LAYER}.post_feedforward_layernorm_1")
        before = self.norm("experts norm", f"{self.LAYER}.pre_feedforward_layernorm_2")
        after = self.norm("experts output norm", f"{self.LAYER}.post_feedforward_layernorm_2")
        second = Chain((*router, *before, experts, *after))
        return Beside(self.hidden_size, Chain((dense, *first)), second, name="experts")

    def layer(
        self, attention: Block, inner: Block, norms: Norms | None = None
    ) -> tuple[Block, ...]:
        """Blocks with their norms, the layer's own input, and its factor."""
        width = self.hidden_size_per_layer_input
        act = self.hidden_activation or "gelu_pytorch_tanh"
        own = (LayerInput(self.hidden_size, width, act, self.LAYER),) if width else ()
        factor = Scale("layer scale", self.hidden_size)
        return (*super().layer(attention, inner, norms), *own, factor)

    def check(self, where: str) -> None:
        """Sizes of experts, where there are any."""
        super().check(where)
        if self.num_experts if self.enable_moe_block is None else self.enable_moe_block:
            for key in ("num_experts", "top_k_experts", "moe_intermediate_size"):
                if getattr(self, key) is None:
                    raise InputError(f"{where}: expected the key {key!r} of experts, found none")

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, and the inputs of layers."""
        width = self.hidden_size_per_layer_input
        if not width:
            return super().embedded()
        rows, layers = self.vocab_size_per_layer_input, self.num_hidden_layers
        return (*super().embedded(), LayerTable(rows, self.hidden_size, layers, width))


class DiffusionGemma(Gemma4):
    """Experts in every layer, whose keys stand for values without a window; no inputs by layer."""

    attention_k_eq_v: Flag = True
    hidden_size_per_layer_input: Whole | None = 0
    enable_moe_block: Flag | None = True


RECORDS = {"gemma4_text": Gemma4, "diffusion_gemma_text": DiffusionGemma}
