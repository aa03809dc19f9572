"""Gemma 3n's text (`Gemma3nTextConfig`): four streams, a low rank beside attention, layers' inputs.

A layer computes one of the streams, which predict and correct each other around it (AltUp); LAuReL
stands beside attention; what a layer makes of its own input is added to the other streams. The last
layers borrow keys and values, and values are normalised. The gate of the first layers' MLP is cut
off so that few of its values are left, which is told and not counted: the products are whole.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.gemma import Gemma2
from hwmodel.einsum.workloads.blocks.altup import (
    Correct,
    Laurel,
    Predict,
    Route,
    StreamsMean,
    StreamsOf,
)
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Residual
from hwmodel.einsum.workloads.blocks.per_layer import LayerInput, LayerTable
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.blocks.scale import Scale
from hwmodel.einsum.workloads.decoder import Norms, every
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Whole
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("gemma3n_text", "gemma3n")


class Config(Gemma2):
    """Every fifth layer has no window; inner columns are said once or layer by layer."""

    HARMLESS: ClassVar[frozenset[str]] = Gemma2.HARMLESS | {"altup_active_idx", "altup_coef_clip"}

    vocab_size: Count = 262400
    hidden_size: Count = 2048
    intermediate_size: Count | tuple[Count, ...] | None = 16384  # pyright: ignore[reportIncompatibleVariableOverride]
    num_hidden_layers: Layers = 35
    num_attention_heads: Count = 8
    num_key_value_heads: Count | None = 2
    attn_logit_softcapping: float | None = None
    query_pre_attn_scalar: float | None = None
    sliding_window: Count | None = 512
    vocab_size_per_layer_input: Count = 262144
    hidden_size_per_layer_input: Count = 256
    altup_num_inputs: Count = 4
    altup_correct_scale: Flag = True
    num_kv_shared_layers: Whole = 15
    laurel_rank: Count = 64
    activation_sparsity_pattern: tuple[float, ...] | None = None

    @property
    def columns(self) -> tuple[int, ...]:
        """Inner columns of each layer's MLP."""
        said = self.intermediate_size
        return said if isinstance(said, tuple) else (said or 0,) * self.num_hidden_layers

    @property
    def inner_size(self) -> int:
        """Inner columns of the widest MLP."""
        return max(self.columns, default=0)

    @property
    def act(self) -> str:
        """The activation of MLPs and of layers' inputs."""
        return self.hidden_activation or "gelu_pytorch_tanh"

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or every fifth."""
        return super().windows() if self.layer_types else every(5, self)

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention with norms of q, k and v, the last ones with borrowed keys and values."""
        borrowed = layer >= self.num_hidden_layers - self.num_kv_shared_layers
        return self.heads(
            *(window,),
            **{"qkv_bias": self.attention_bias, "output_bias": self.attention_bias},
            **{"qk_norm": True, "value_norm": True, "borrowed": borrowed},
        )

    def inner(self, layer: int) -> Block:
        """The MLP of a layer."""
        return self.gated(act=self.act, intermediate=self.columns[layer])

    def layer(
        self, attention: Block, inner: Block, norms: Norms | None = None
    ) -> tuple[Block, ...]:
        """What stands around attention and MLP of the active stream."""
        hidden, streams = self.hidden_size, self.altup_num_inputs
        route = Route(hidden, streams)
        before, *rest = super().layer(attention, inner, norms)
        at = rest.index(Residual("attention residual", hidden)) + 1
        return (
            *(route, Predict(hidden, streams)),
            *(before, Laurel(hidden, self.laurel_rank), *rest[:at]),
            *(Residual("laurel sum", hidden), Scale("laurel scale", hidden), *rest[at:]),
            *(Reused(route), Correct(hidden, streams, self.altup_correct_scale)),
            LayerInput(
                *(hidden, self.hidden_size_per_layer_input, self.act, self.LAYER),
                streams=streams - 1,
            ),
        )

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, the inputs of layers, and the streams."""
        layers, width = self.num_hidden_layers, self.hidden_size_per_layer_input
        table = LayerTable(self.vocab_size_per_layer_input, self.hidden_size, layers, width)
        return (*super().embedded(), table, StreamsOf(self.hidden_size, self.altup_num_inputs))

    def ended(self) -> tuple[Block, ...]:
        """The streams' mean, and logits of it."""
        return (StreamsMean(self.hidden_size, self.altup_num_inputs), *super().ended())

    def notes(self) -> tuple[str, ...]:
        """The cut of gates."""
        said, layers = self.activation_sparsity_pattern, self.num_hidden_layers
        if not (layers > 10 if said is None else any(said)):
            return super().notes()
        note = "activation_sparsity_pattern: gates that are cut off spare no product, and the cut"
        return (*super().notes(), f"{note} (a mean, a deviation, a relu) is not counted")

    def check(self, where: str) -> None:
        """Lists are as long as there are layers, and every kind that borrows is kept before."""
        super().check(where)
        layers, columns = self.num_hidden_layers, self.columns
        said = {"intermediate_size": len(columns)}
        if self.activation_sparsity_pattern is not None:
            said["activation_sparsity_pattern"] = len(self.activation_sparsity_pattern)
        for key, count in said.items():
            if count != layers:
                raise InputError(
                    f"{where}: {key}: expected one entry for each of the {layers} layers,"
                    f" found {count}"
                )
        if self.altup_num_inputs < 2:
            raise InputError(
                f"{where}: altup_num_inputs: expected at least 2, found {self.altup_num_inputs}"
            )
        windows, borrowing = self.windows(), self.num_kv_shared_layers
        if set(windows[: max(layers - borrowing, 0)]) != set(windows):
            raise InputError(
                f"{where}: num_kv_shared_layers: expected layers of every kind before those that"
                f" borrow, found {borrowing} of {layers} that borrow"
            )
