"""The format of one module of a checkpoint, and what a quantised checkpoint is asked.

Whoever lays out a network asks by a module's full name in the checkpoint, such as
`model.layers.3.mlp.down_proj` (experts by their first: `...mlp.experts.0.down_proj`); whoever reads
`quantization_config` answers (`quantised.py`), and knows nothing of architectures.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class ModuleFormats:
    """`weight` as stored, scales included (`fp8@16384:32`); `input`: what the product reads."""

    weight: str
    input: str


class Formats(Protocol):
    """A checkpoint's formats by module.

    Asked of linear modules alone, the language-model head (`lm_head`) among them; embeddings,
    norms, biases and routers are never quantised. A name that libraries give to a fused product
    (`qkv_proj`, `gate_up_proj`) means all of its parts, whose own names are asked.
    """

    @property
    def kv(self) -> str | None:
        """Format of keys and values; None where they are as the activations."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What reading had to assume."""
        ...

    def of(self, path: str) -> ModuleFormats:
        """Formats of the linear module of this full name."""
        ...

    def unmatched(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Names in the checkpoint's lists that none of these modules has."""
        ...
