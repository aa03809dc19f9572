"""Encoders of audio as Whisper has one, alone: of Qwen2-Audio and Voxtral.

`Qwen2AudioEncoderConfig`, `VoxtralEncoderConfig`. A token of a step is a position, of two frames.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.audio import AudioStem
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Layers, Names

MODEL_TYPES = ("qwen2_audio_encoder", "voxtral_encoder")


class Config(Encoder):
    """Norms before blocks and behind the layers; keys have no biases."""

    ALIASES: ClassVar[Names] = {
        **{"d_model": "hidden_size", "encoder_layers": "num_hidden_layers"},
        **{"encoder_attention_heads": "num_attention_heads"},
        **{"encoder_ffn_dim": "intermediate_size", "activation_function": "hidden_act"},
    }
    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {
        *("encoder_layerdrop", "scale_embedding", "vocab_size", "init_std"),
    }
    NORMS: ClassVar[Norms] = ("self_attn_layer_norm", None, "final_layer_norm", None)
    LAYER: ClassVar[str] = "layers.{layer}"
    FINAL: ClassVar[str] = "layer_norm"

    hidden_size: Count = 1280
    intermediate_size: Count | None = 5120
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 20
    num_mel_bins: Count = 128
    max_source_positions: Any = 1500

    def embedded(self) -> tuple[Block, ...]:
        """The stem, and positions."""
        stem = AudioStem(self.num_mel_bins, self.hidden_size, "audio_tower", self.hidden_act)
        rows = int(self.max_source_positions)
        return (stem, Positions(rows, self.hidden_size, "audio_tower.embed_positions"))

    def attention(self, window: int | None) -> Block:
        """Attention whose keys have no biases."""
        return self.heads(window, key_bias=False, names=("q_proj", "k_proj", "v_proj", "out_proj"))

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(path=self.LAYER)
