"""Whisper (arXiv 2212.04356): an encoder of audio and a decoder of text (`WhisperConfig`).

A source token is a position of the encoder: two frames of 10 ms; the model was made for 1,500, half
a minute, and each recording is as long. Keys have no bias.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.bart import Before
from hwmodel.einsum.workloads.blocks.audio import AudioStem
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.record import Count

MODEL_TYPES = ("whisper",)


class Config(Before):
    """Learned positions on both sides; the table of tokens is the decoder's alone."""

    NORMED: ClassVar[bool] = False
    OFFSET: ClassVar[int] = 0
    KEY_BIAS: ClassVar[bool] = False
    TABLE: ClassVar[str] = "model.decoder.embed_tokens"
    HARMLESS: ClassVar[frozenset[str]] = Before.HARMLESS | frozenset(
        "begin_suppress_tokens suppress_tokens alignment_heads use_weighted_layer_sum lang_ids"
        " mask_time_prob mask_time_length mask_time_min_masks mask_feature_prob mask_feature_length"
        " mask_feature_min_masks apply_spec_augment median_filter_width".split()
    )

    vocab_size: Count = 51865
    hidden_size: Count = 384
    num_mel_bins: Count = 80
    encoder_layers: Count = 4
    encoder_ffn_dim: Count = 1536
    encoder_attention_heads: Count = 6
    decoder_layers: Count = 4
    decoder_ffn_dim: Count = 1536
    decoder_attention_heads: Count = 6
    max_source_positions: Count = 1500
    max_target_positions: Count = 448
    max_position_embeddings: Any = None

    @property
    def source(self) -> int:
        """A whole recording."""
        return self.source_tokens or self.max_source_positions

    @property
    def positions(self) -> int | None:
        """Tokens that the decoder was made for."""
        return self.max_target_positions

    def embedded(self) -> tuple[Block, ...]:
        """The stem, and positions."""
        stem = AudioStem(self.num_mel_bins, self.hidden_size, "model.encoder", self.hidden_act)
        return (stem, *self._placed("encoder", self.max_source_positions))

    def begun(self) -> tuple[Block, ...]:
        """Tokens, and positions."""
        table = Embedding(self.vocab_size, self.hidden_size, self.TABLE)
        return (table, *self._placed("decoder", self.max_target_positions))
