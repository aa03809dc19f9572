"""The format of one module of a checkpoint.

Whoever lays out a network asks by a module's full name in the checkpoint, such as
`model.layers.3.mlp.down_proj` (experts by their first: `...mlp.experts.0.down_proj`); whoever reads
`quantization_config` answers (`quantisation/`), and knows nothing of architectures.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModuleFormats:
    """`weight` as stored, scales included (`fp8@16384:32`); `input`: what the product reads."""

    weight: str
    input: str
