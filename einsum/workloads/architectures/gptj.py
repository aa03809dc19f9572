"""GPT-J and CodeGen: attention beside a plain MLP, one norm, partly rotated (`GPTJConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import gpt2
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("gptj", "codegen")


class GptJ(gpt2.Gpt2):
    """No bias in attention; the head has one."""

    NORMS: ClassVar[Norms] = ("ln_1", None, None, None)
    NAMES: ClassVar[tuple[str, str, str, str]] = ("q_proj", "k_proj", "v_proj", "out_proj")

    tie_word_embeddings: Flag = False
    max_position_embeddings: Count = 2048
    rotary_dim: Whole | None = 64

    @property
    def parallel(self) -> bool:
        """Always."""
        return True

    def embedded(self) -> tuple[Block, ...]:
        """Tokens alone."""
        return Decoder.embedded(self)

    def attention(self, window: int | None) -> Block:
        """Attention of which some elements are turned."""
        turned = None if self.rotary_dim is None else min(self.rotary_dim, self.head_size)
        return self.heads(window, rotated=turned, names=self.NAMES, path=f"{self.LAYER}.attn")

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(names=("fc_in", "fc_out"))

    def ended(self) -> tuple[Block, ...]:
        """A head with a bias."""
        return (*self.norm("final norm", self.FINAL, last=True), self.head(bias=True))


class CodeGen(GptJ):
    """One module for q, k and v."""

    NAMES: ClassVar[tuple[str, str, str, str]] = ("qkv_proj", "qkv_proj", "qkv_proj", "out_proj")


RECORDS = {"gptj": GptJ, "codegen": CodeGen}
