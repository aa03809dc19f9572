"""Llama 4's text: experts with one more beside them, chunks of context in three layers of four.

`Llama4TextConfig`. Layers that are rotated attend within chunks, counted here as a window as long
as a chunk; every fourth sees all, and is not rotated. Scout has experts in every layer, Maverick in
every second; the norm of q and k has no weights.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("llama4_text",)


class Config(Decoder):
    """`intermediate_size` is an expert's, `intermediate_size_mlp` a dense layer's."""

    KINDS: ClassVar[tuple[str, ...]] = ("full_attention", "chunked_attention")
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "attn_temperature_tuning floor_scale attn_scale for_llm_compressor".split()
    )

    head_dim: Count | None = 128
    attention_bias: Flag = False
    use_qk_norm: Flag = True
    attention_chunk_size: Count | None = 8192
    no_rope_layers: tuple[int, ...] | None = None
    no_rope_layer_interval: Count = 4
    intermediate_size_mlp: Count = 16384
    num_local_experts: Count = 16
    num_experts_per_tok: Count = 1
    interleave_moe_layer_step: Count = 1
    moe_layers: tuple[int, ...] | None = None

    def windows(self) -> tuple[int | None, ...]:
        """A chunk, where a layer is rotated."""
        return tuple(self.attention_chunk_size if turned else None for turned in self._turned())

    def _turned(self) -> tuple[bool, ...]:
        layers, interval = range(self.num_hidden_layers), self.no_rope_layer_interval
        said = self.no_rope_layers
        return tuple(bool(said[i]) if said else bool((i + 1) % interval) for i in layers)

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention, rotated and normalised or neither."""
        turned, biased = self._turned()[layer], self.attention_bias
        more: dict[str, Any] = {} if turned else {"rotated": 0}
        return self.heads(
            *(window,),
            **{"qkv_bias": biased, "output_bias": biased, "qk_norm": turned and self.use_qk_norm},
            **{"head_norm": HeadNorm(gains="none"), **more},
        )

    def inner(self, layer: int) -> Block:
        """Experts with one more, or a dense MLP."""
        step, path = self.interleave_moe_layer_step, f"{self.LAYER}.feed_forward"
        inside = (layer + 1) % step == 0 if self.moe_layers is None else layer in self.moe_layers
        if not inside:
            return self.gated(intermediate=self.intermediate_size_mlp, path=path)
        routed = self.experts(
            experts=self.num_local_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            scoring=Scoring("sigmoid", normalised=False),
            path=path,
            router="router",
            counted="intermediate_size",
        )
        return self.shared(routed, self.inner_size, "feed_forward.shared_expert")

    def notes(self) -> tuple[str, ...]:
        """Chunks."""
        if self.attention_chunk_size is None:
            return ()
        return (
            "attention_chunk_size: counted as a sliding window of that length; a token sees half of"
            " it on average",
        )

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)
