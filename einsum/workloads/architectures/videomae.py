"""Vision transformers of videos and spectrograms: VideoMAE and the Audio Spectrogram Transformer.

`VideoMAEConfig` (arXiv 2203.12602): a token is a patch of some frames. `ASTConfig` (arXiv
2104.01778): a patch of bins and frames, patches overlapping.
"""

import re
from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("videomae", "audio-spectrogram-transformer")


class VideoMae(Vit):
    """The encoder, on all patches; keys have no biases, positions are sinusoids."""

    HARMLESS: ClassVar[frozenset[str]] = Vit.HARMLESS | {"norm_pix_loss", "use_mean_pooling"}
    RULES: ClassVar[re.Pattern[str] | None] = re.compile("decoder_.*")

    num_frames: Count = 16
    tubelet_size: Count = 2
    qv_bias: Flag = True
    use_mean_pooling: Flag = True

    def embedded(self) -> tuple[Block, ...]:
        """Patches."""
        inputs = self.num_channels * self.tubelet_size * self.patch_size**2
        return (Patches(inputs, self.hidden_size, 0, 0),)

    def attention(self, window: int | None) -> Block:
        """Attention with biases of queries and values."""
        return self.heads(
            window, qkv_bias=self.qv_bias, key_bias=False, path=f"{self.LAYER}.attention"
        )

    def ended(self) -> tuple[Block, ...]:
        """A norm where patches are not averaged."""
        return () if self.use_mean_pooling else self.norm("final norm", self.FINAL)


class Ast(Vit):
    """Two tokens of no patch; the mean of their last states is what it says."""

    EXTRA: ClassVar[int] = 2
    POOLED: ClassVar[bool] = False

    frequency_stride: Count = 10
    time_stride: Count = 10
    max_length: Count = 1024
    num_mel_bins: Count = 128
    num_channels: Any = 1

    @property
    def patches(self) -> int:
        """Patches down and across, overlapping."""
        down = (self.num_mel_bins - self.patch_size) // self.frequency_stride + 1
        return down * ((self.max_length - self.patch_size) // self.time_stride + 1)


RECORDS = {"videomae": VideoMae, "audio-spectrogram-transformer": Ast}
