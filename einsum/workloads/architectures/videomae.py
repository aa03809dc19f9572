"""Vision transformers of videos and spectrograms: VideoMAE and the Audio Spectrogram Transformer.

`VideoMAEConfig` (arXiv 2203.12602): a token is a patch of some frames. `ASTConfig` (arXiv
2104.01778): a patch of bins and frames, patches overlapping.
"""

import re
from math import prod
from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.record import Count, Flag
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("videomae", "audio-spectrogram-transformer", "yolos")


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


class Yolos(Vit):
    """Tokens that find objects beside the patches, positions in every layer (`YolosConfig`)."""

    RULES: ClassVar[re.Pattern[str] | None] = re.compile(
        "auxiliary_loss|.*_cost|.*_loss_coefficient|eos_coefficient"
    )

    image_size: Any = (512, 864)
    num_detection_tokens: Count = 100
    use_mid_position_embeddings: Flag = True

    @property
    def patches(self) -> int:
        """Patches down and across."""
        return prod(int(side) // self.patch_size for side in self.image_size)

    def embedded(self) -> tuple[Block, ...]:
        """Patches and tokens of none, with positions, those of later layers too."""
        inputs, tokens = self.num_channels * self.patch_size**2, 1 + self.num_detection_tokens
        rows = self.patches + tokens
        again = tokens + prod(map(int, self.image_size)) // self.patch_size**2
        later = (self.num_hidden_layers - 1, again, self.hidden_size)
        held = (Held("encoder.mid_position_embeddings", later, "embedding"),)
        made = Patches(inputs, self.hidden_size, rows, tokens)
        return (made, *(held if self.use_mid_position_embeddings else ()))

    def check(self, where: str) -> None:
        """Two sides."""
        if not isinstance(self.image_size, (list, tuple)):
            raise InputError(f"{where}: image_size: expected two sides, found {self.image_size!r}")
        super().check(where)


RECORDS = {"videomae": VideoMae, "audio-spectrogram-transformer": Ast, "yolos": Yolos}
