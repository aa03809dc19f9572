"""Ministral: Mistral whose layers may differ in their window (`Ministral3Config`)."""

from hwmodel.einsum.workloads.architectures import mistral
from hwmodel.einsum.workloads.record import Count

MODEL_TYPES = ("ministral", "ministral3")


class Ministral(mistral.Config):
    """A window in every layer where nothing else is said."""

    sliding_window: Count | None = 4096


class Ministral3(mistral.Config):
    """No window where nothing is said, heads of 128."""

    sliding_window: Count | None = None
    head_dim: Count | None = 128


RECORDS = {"ministral": Ministral, "ministral3": Ministral3}
