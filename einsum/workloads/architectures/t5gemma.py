"""T5Gemma: an encoder and a decoder of Gemma 2's layers (`T5GemmaConfig`, arXiv 2504.06225).

Each side has a table of its own in the config; the decoder attends to the source between its own
attention and its MLP. Windows of the encoder's layers are on both sides of a token.
"""

from dataclasses import replace
from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.gemma import Gemma2
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.cross import CrossAttention
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Kind, Norm, Residual
from hwmodel.einsum.workloads.blocks.scale import Scale
from hwmodel.einsum.workloads.encoder_decoder import EncoderDecoder, Layers
from hwmodel.einsum.workloads.record import Count, Names
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("t5gemma",)
USUAL = {"model_type": "gemma2", "vocab_size": 256000, "hidden_size": 2304}
USUAL_SIZES = {"intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8}


class Config(EncoderDecoder):
    """Two tables of sizes, of which the decoder's says those of the whole."""

    NORM: ClassVar[Kind] = "rms"

    vocab_size: Count = 256000
    hidden_size: Count = 2304
    encoder_: dict[str, Any] | None = None
    decoder_: dict[str, Any] | None = None

    ALIASES: ClassVar[Names] = {"encoder": "encoder_", "decoder": "decoder_"}

    def side(self, table: dict[str, Any] | None) -> Gemma2:
        """The sizes of a side."""
        said = {key: value for key, value in (table or {}).items() if value is not None}
        usual = {**USUAL, **USUAL_SIZES, "num_key_value_heads": 4}
        return Gemma2.model_validate({**usual, **said, "model_type": "gemma2"})

    @property
    def source(self) -> int:
        """A window, where nothing is said."""
        return self.source_tokens or self.side(self.encoder_).sliding_window or 512

    def network(self) -> Network:
        """Sides of the decoder's width."""
        width = self.side(self.decoder_).hidden_size
        return super(Config, self.model_copy(update={"hidden_size": width})).network()

    def embedded(self) -> tuple[Block, ...]:
        """A table of the encoder's."""
        return self._table("encoder")

    def begun(self) -> tuple[Block, ...]:
        """A table of the decoder's."""
        return self._table("decoder")

    def _table(self, side: str) -> tuple[Block, ...]:
        table = Embedding(self.vocab_size, self.hidden_size, f"model.{side}.embed_tokens")
        return (table, Scale(f"{side} embedding scale", self.hidden_size))

    def encoder(self) -> Layers:
        """Attention of all tokens, or of those around, and an MLP; a last norm."""
        sizes, path = self.side(self.encoder_), "model.encoder.layers.{layer}"
        made = [
            (
                *self._around(
                    "attention", self._seen(sizes, path, window), f"{path}.{{}}_self_attn"
                ),
                *self._around(
                    "mlp",
                    sizes.gated(path=f"{path}.mlp", **_act(sizes)),
                    f"{path}.{{}}_feedforward",
                ),
            )
            for window in sizes.windows()
        ]
        return [*made[:-1], (*made[-1], self.norm("encoder norm", "model.encoder.norm"))]

    def _seen(self, sizes: Gemma2, path: str, window: int | None) -> Attention:
        heads = sizes.heads(None, path=f"{path}.self_attn")
        return replace(heads, causal=False, cached=False, apart=window)

    def decoder(self) -> Layers:
        """Attention of tokens made, attention to the source, and an MLP."""
        sizes, path = self.side(self.decoder_), "model.decoder.layers.{layer}"
        cross = sizes.heads(None, rotated=0, path=f"{path}.cross_attn")
        return [
            (
                *self._around(
                    "decoder attention",
                    sizes.heads(window, path=f"{path}.self_attn"),
                    f"{path}.{{}}_self_attn",
                ),
                *self._around(
                    "cross attention", CrossAttention(cross, self.source), f"{path}.{{}}_cross_attn"
                ),
                *self._around(
                    "decoder mlp",
                    sizes.gated(path=f"{path}.mlp", **_act(sizes)),
                    f"{path}.{{}}_feedforward",
                ),
            )
            for window in sizes.windows()
        ]

    def _around(self, name: str, block: Block, path: str) -> tuple[Block, ...]:
        """A block between norms, and what it has read added."""
        hidden = self.hidden_size
        before, after = (
            f"{path.format(side, layer='{layer}')}_layernorm" for side in ("pre", "post")
        )
        return (
            Norm(f"{name} norm", before, hidden),
            block,
            Norm(f"{name} output norm", after, hidden),
            Residual(f"{name} residual", hidden),
        )

    def ended(self) -> tuple[Block, ...]:
        """The last norm and the head."""
        norm = self.norm("final norm", "model.decoder.norm", last=True)
        return (norm, self.head("lm_head.out_proj", "model.decoder.embed_tokens"))

    def check(self, where: str) -> None:
        """Sides of one width."""
        super().check(where)
        widths = [self.side(each).hidden_size for each in (self.encoder_, self.decoder_)]
        if widths[0] != widths[1]:
            raise InputError(
                f"{where}: encoder: expected the decoder's hidden_size ({widths[1]}), found"
                f" {widths[0]}"
            )


def _act(sizes: Gemma2) -> dict[str, str]:
    return {"act": sizes.hidden_activation or "gelu_pytorch_tanh"}
