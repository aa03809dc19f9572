"""Llama-Nemotron (arXiv 2505.00949): Llama 3 of which a search took parts (`nemotron-nas`, DeciLM).

`block_configs` says of each layer how many query heads share a key head and how wide its MLP is, or
that one of the two is left out with its norm, or a product in its place.
"""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.record import Count
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("nemotron-nas", "deci")
Table = Mapping[str, Any]
_WIDTHS = 256
"""An MLP's width is a multiple of this."""


class Config(llama.Config):
    """Sizes by layer."""

    intermediate_size: Count | None = None
    block_configs: tuple[Mapping[str, Table], ...] = ()

    def network(self) -> Network:
        """Layers of what is left."""
        layers = [
            (
                *self._part(each["attention"], "input_layernorm", "attention", self._heads),
                *self._part(each["ffn"], "post_attention_layernorm", "mlp", self._mlp),
            )
            for each in self.block_configs
        ]
        return self.between(layers)

    @property
    def inner_size(self) -> int:
        """Columns of the widest MLP."""
        return max((self._width(each["ffn"]) for each in self.block_configs), default=0)

    def _part(self, table: Table, norm: str, name: str, make: Any) -> tuple[Block, ...]:
        if table.get("no_op"):
            return ()
        return (
            *self.norm(f"{name} norm", f"{self.LAYER}.{norm}"),
            self._linear(name) if table.get("replace_with_linear") else make(table),
            *self.added(f"{name} residual"),
        )

    def _linear(self, name: str) -> Block:
        path = f"{self.LAYER}.{'self_attn' if name == 'attention' else name}.linear_attn"
        return Projection(f"{name} linear", self.hidden_size, self.hidden_size, path, part=name)

    def _heads(self, table: Table) -> Block:
        keys = self.num_attention_heads // table["n_heads_in_group"]
        return self.heads(table.get("window_length"), kv_heads=keys)

    def _mlp(self, table: Table) -> Block:
        return Mlp(self.hidden_size, self._width(table), path=f"{self.LAYER}.mlp")

    def _width(self, table: Table) -> int:
        """Two thirds of a multiple of the hidden size, rounded up."""
        return -(-int(2 * (table.get("ffn_mult") or 0) * self.hidden_size / 3) // _WIDTHS) * _WIDTHS

    def check(self, where: str) -> None:
        """As many tables as layers."""
        super().check(where)
        if len(self.block_configs) != self.num_hidden_layers:
            raise InputError(
                f"{where}: block_configs: expected one entry for each of the"
                f" {self.num_hidden_layers} layers, found {len(self.block_configs)}"
            )
