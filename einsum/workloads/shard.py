"""One device's share of a model: sizes of its layers, exact parameters, bytes.

Parameters of the whole model (`tp=1`) equal the totals that checkpoints publish. Under tensor
parallelism (Shoeybi et al., arXiv 1909.08053, section 3) query heads, intermediate sizes and the
vocabulary are divided; KV heads too until one is left, which is then repeated on several devices;
norms, routers and biases of row-divided products are on every device.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwmodel.einsum.workloads.config import Config
from hwmodel.einsum.workloads.precision import Precision
from hwmodel.einsum.workloads.workload import whole
from hwmodel.quantity.arithmetic import least
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Shard:
    """One of `tp` devices' share of a model: sizes of its layers, parameters and bytes."""

    config: Config
    precision: Precision
    tp: int = 1

    @cached_property
    def heads(self) -> int:
        """Query heads."""
        return _divided("num_attention_heads", self.config.num_attention_heads, self.tp)

    @cached_property
    def kv_heads(self) -> int:
        """KV heads: at least one, repeated on several devices where there are fewer."""
        total = self.config.num_key_value_heads or self.config.num_attention_heads
        if total >= self.tp:
            return _divided("num_key_value_heads", total, self.tp)
        if self.tp % total:
            raise InputError(
                f"model: tp: expected a multiple of the {total} KV heads when above it, so that"
                f" each is repeated alike; found {self.tp}"
            )
        return 1

    @cached_property
    def head_dim(self) -> int:
        """Size of a head."""
        return self.config.head_dim or self.config.hidden_size // self.config.num_attention_heads

    @cached_property
    def intermediate(self) -> int:
        """Intermediate size of a dense MLP."""
        return _divided("intermediate_size", self.config.intermediate_size, self.tp)

    @cached_property
    def expert_intermediate(self) -> int:
        """Intermediate size of an expert."""
        key = "moe_intermediate_size" if self.config.moe_intermediate_size else "intermediate_size"
        return _divided(key, getattr(self.config, key), self.tp)

    @cached_property
    def vocabulary(self) -> int:
        """Rows of the embedding and of the head."""
        return _divided("vocab_size", self.config.vocab_size, self.tp)

    @cached_property
    def qkv_bias(self) -> bool:
        """Whether the q, k and v projections add a bias."""
        rule = self.config.architecture.bias
        return rule == "qkv" or (rule == "attention_bias" and self.config.attention_bias)

    @cached_property
    def output_bias(self) -> bool:
        """Whether the attention's output projection adds a bias."""
        return self.config.architecture.bias == "attention_bias" and self.config.attention_bias

    @cached_property
    def qk_norm(self) -> bool:
        """Whether each head's q and k pass a norm."""
        return self.config.architecture.qk_norm

    @cached_property
    def sparse_layers(self) -> int:
        """Layers with a mixture of experts."""
        return self.config.sparse_layers

    @cached_property
    def dense_layers(self) -> int:
        """Layers with a dense MLP."""
        return self.config.num_hidden_layers - self.config.sparse_layers

    @cached_property
    def windows(self) -> Mapping[int | None, int]:
        """Sliding window (None: none) -> number of layers that have it."""
        windows = self.config.windows
        return {window: windows.count(window) for window in dict.fromkeys(windows)}

    @cached_property
    def parameters_by_part(self) -> dict[str, int]:
        """Parameters of each part, all layers together."""
        c, hidden, layers = self.config, self.config.hidden_size, self.config.num_hidden_layers
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        matrix = hidden * (q + 2 * kv) + q * hidden
        bias = (q + 2 * kv) * self.qkv_bias + hidden * self.output_bias
        dense_bias = (2 * self.intermediate + hidden) * c.mlp_bias
        experts = c.experts or 0
        return {
            "embedding": self.vocabulary * hidden,
            "head": 0 if c.tie_word_embeddings else self.vocabulary * hidden,
            "attention": layers * matrix,
            "mlp": self.dense_layers * 3 * hidden * self.intermediate if self.dense_layers else 0,
            "experts": self.sparse_layers * experts * 3 * hidden * self.expert_intermediate
            if self.sparse_layers
            else 0,
            "router": self.sparse_layers * experts * hidden,
            "biases": layers * bias + self.dense_layers * dense_bias,
            "norms": (2 * layers + 1) * hidden + layers * 2 * self.head_dim * self.qk_norm,
        }

    @property
    def parameters(self) -> int:
        """Parameters held, tied ones once."""
        return sum(self.parameters_by_part.values())

    @cached_property
    def active_parameters(self) -> int:
        """Parameters that one token uses: all but the experts that it is not sent to."""
        parts = self.parameters_by_part
        idle = 0
        if self.sparse_layers and self.config.experts:
            picked = self.config.num_experts_per_tok or 0
            idle = parts["experts"] // self.config.experts * (self.config.experts - picked)
        return self.parameters - idle

    @cached_property
    def weight_bytes(self) -> int | float:
        """Bytes of all weights, block scales included."""
        formats, parts = self.precision, self.parameters_by_part
        kept = sum(formats.kept_in(name) * each for name, each in self._linear_parameters.items())
        linear = sum(parts[part] for part in ("attention", "mlp", "experts"))
        quantised = linear - kept + (parts["head"] if formats.head else 0)
        rest = self.parameters - quantised
        return _bytes(quantised, formats.weight) + _bytes(rest, formats.unquantised)

    @property
    def _linear_parameters(self) -> dict[str, int]:
        """Parameters of one layer by product, biases apart."""
        hidden, q = self.config.hidden_size, self.heads * self.head_dim
        dense = self.dense_layers > 0
        experts = 3 * hidden * self.expert_intermediate if self.sparse_layers else 0
        return {
            "qkv": hidden * (q + 2 * self.kv_heads * self.head_dim),
            "output": q * hidden,
            "gate-up": 2 * hidden * self.intermediate if dense else 0,
            "down": hidden * self.intermediate if dense else 0,
            "experts": experts * (self.config.experts or 0),
        }

    @cached_property
    def kv_bytes_per_token(self) -> int | float:
        """Bytes of keys and values of one token in all layers, while no window has filled."""
        elements = 2 * self.config.num_hidden_layers * self.kv_heads * self.head_dim
        return _bytes(elements, self.precision.kv)

    def kv_bytes(self, batch: Amount, tokens: Amount) -> Amount:
        """Bytes of the cache of `batch` sequences of `tokens`; a windowed layer keeps its last."""
        sizes = whole("kv_bytes", batch=batch, tokens=tokens)
        total: Amount = 0
        for window, layers in self.windows.items():
            elements = 2 * layers * self.kv_heads * self.head_dim
            total = total + _bytes(elements, self.precision.kv) * seen(sizes["tokens"], window)
        return sizes["batch"] * total


def seen(tokens: Amount, window: int | None) -> Amount:
    """Keys that a new token attends to, of `tokens` in its context with itself."""
    return tokens if window is None else least((tokens, window))


def _divided(name: str, size: int, tp: int) -> int:
    if size % tp:
        raise InputError(f"model: tp: expected a divisor of {name} ({size}), found {tp}")
    return size // tp


def _bytes(elements: int, dtype: str) -> int | float:
    size = elements * bytes_of(dtype)
    return int(size) if np.equal(size, np.floor(size)) else size
