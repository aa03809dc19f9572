"""Mistral 7B and its kin: a sliding window in every layer, unless it is null (`MistralConfig`)."""

from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count

MODEL_TYPES = ("mistral",)


class Config(Decoder):
    """The window."""

    sliding_window: Count | None = 4096
