"""Encoder-decoders: a source is read whole, then tokens are made that attend to it.

`prefill` reads a prompt, which is the source, and makes the first token; `decode` makes one more,
whose `context` are the tokens made so far, with `source_tokens` of source behind it. That is no key
of checkpoints: `model.but(source_tokens=800)` sets it. A checkpoint of the encoder alone
(`architectures`) is read as one.
"""

from collections.abc import Sequence
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.cross import CrossAttention, OfSource, OfTarget
from hwmodel.einsum.workloads.blocks.ends import Head
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Kind, Norm, Residual
from hwmodel.einsum.workloads.record import Config, Count, Flag, Names, Values
from hwmodel.einsum.workloads.rows import ACTIVATIONS
from hwmodel.quantity.errors import CoverageError

Layers = list[tuple[Block, ...]]


class EncoderDecoder(Config):
    """What both sides share; a subclass says how layers of each are made, and its ends."""

    ALIASES: ClassVar[Names] = {"activation_function": "hidden_act", "d_model": "hidden_size"}
    NEUTRAL: ClassVar[Values] = {
        **{"is_encoder_decoder": (True, False), "add_cross_attention": (True, False)},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "num_hidden_layers static_position_embeddings decoder_start_token_id layerdrop"
        " encoder_layerdrop decoder_layerdrop init_std forced_bos_token_id forced_eos_token_id"
        " normalize_before add_bias_logits normalize_embedding add_final_layer_norm gradient_"
        " early_stopping num_beams length_penalty force_bos_token_to_be_generated save_step"
        " extra_pos_embeddings max_length decoder_vocab_size share_encoder_decoder_embeddings"
        " decoder_head_mask num_beam_groups diversity_penalty".split()
    )
    NORM: ClassVar[Kind] = "layer"

    vocab_size: Count
    hidden_size: Count
    hidden_act: str = "gelu"
    tie_word_embeddings: Flag = True
    architectures: tuple[str, ...] | None = None
    source_tokens: Count | None = None

    @property
    def alone(self) -> bool:
        """Whether the checkpoint is the encoder alone."""
        return any("EncoderModel" in name for name in self.architectures or ())

    @property
    def source(self) -> int:
        """Tokens of source behind a decode step."""
        return self.source_tokens or 512

    def embedded(self) -> tuple[Block, ...]:
        """What makes hidden states of a source."""
        raise NotImplementedError

    def begun(self) -> tuple[Block, ...]:
        """What makes hidden states of tokens made."""
        raise NotImplementedError

    def encoder(self) -> Layers:
        """Layers of the encoder, its last norm among the last one's blocks."""
        raise NotImplementedError

    def decoder(self) -> Layers:
        """Layers of the decoder."""
        raise NotImplementedError

    def ended(self) -> tuple[Block, ...]:
        """What makes logits."""
        raise NotImplementedError

    def network(self) -> Network:
        """Encoder, then decoder."""
        if self.alone:
            layers = grouped(self.encoder())
            return Network(self.hidden_size, self.embedded(), layers, (), generates=False)
        first, *others = self.decoder()
        return Network(
            hidden=self.hidden_size,
            before=tuple(OfSource(block) for block in self.embedded()),
            layers=(
                *grouped(tuple(map(OfSource, layer)) for layer in self.encoder()),
                *grouped(_targets(layer) for layer in ((*self.begun(), *first), *others)),
            ),
            after=self.ended(),
        )

    def norm(self, name: str, path: str, *, last: bool = False) -> Norm:
        """A norm of hidden states."""
        return Norm(name, path, self.hidden_size, self.NORM, last=last)

    def added(
        self, name: str, block: Block, path: str, *, after: bool = False
    ) -> tuple[Block, ...]:
        """A block with its norm, before it or `after` the residual addition."""
        norm, total = (
            self.norm(f"{name} norm", path),
            Residual(f"{name} residual", self.hidden_size),
        )
        return (block, total, norm) if after else (norm, block, total)

    def head(self, path: str, embedding: str) -> Head:
        """The head of these sizes."""
        return Head(self.vocab_size, self.hidden_size, self.tie_word_embeddings, path, embedding)

    def notes(self) -> tuple[str, ...]:
        """What a decode step reads."""
        if self.alone:
            return ()
        return (
            f"source_tokens: a decode step attends to a source of {self.source} tokens; prefill's"
            " prompt is the source",
        )

    def check(self, where: str) -> None:
        """An activation that is modelled."""
        super().check(where)
        if self.hidden_act not in ACTIVATIONS:
            raise CoverageError(f"{where}: hidden_act: {self.hidden_act!r} is not modelled")


def _targets(layer: Sequence[Block]) -> tuple[Block, ...]:
    """Blocks on tokens made; attention to the source tells the steps apart by itself."""
    return tuple(b if isinstance(b, CrossAttention) else OfTarget(b) for b in layer)
