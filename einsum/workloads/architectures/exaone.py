"""EXAONE 3 and 3.5: Llama with other names of keys and modules (`ExaoneConfig`, LG's own code)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.record import Names

MODEL_TYPES = ("exaone",)


class Config(llama.Config):
    """LG's names of keys."""

    ALIASES: ClassVar[Names] = {
        **{"num_layers": "num_hidden_layers", "activation_function": "hidden_act"},
    }
