"""Block Transformer (Ho et al., arXiv 2406.02657): a decoder of blocks, a decoder of their tokens.

Our own keys, after the published ones (itsnamgyu/block-transformer, `conf/trainer`): the embedding
of a block is that of its `block_length` tokens side by side, each of `embedder_size` columns; the
`block_decoder` sees blocks; a product makes a `prefix` of hidden states of each, which the
`token_decoder` has before the block's tokens. Both decoders are configs of any plain decoder that
is read here (`{"model_type": "gpt_neox", ...}`), without tables of their own for blocks.
"""

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import ValidationError

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.blockwise import Coarse, Local
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Norm
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count
from hwmodel.einsum.workloads.registry import known, record
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.value import expectation

MODEL_TYPES = ("block_transformer",)


class Config(AnyConfig):
    """Sizes of blocks, and two decoders."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()

    vocab_size: Count
    block_length: Count = 4
    prefix: Count = 2
    embedder_size: Count | None = None
    block_decoder: dict[str, Any]
    token_decoder: dict[str, Any]

    def check(self, where: str) -> None:
        """Two decoders that are read, a block as wide as its tokens."""
        super().check(where)
        for name in ("block_decoder", "token_decoder"):
            self._decoder(name, where)
        hidden = self._decoder("block_decoder").hidden_size
        if self._embedded * self.block_length != hidden:
            raise InputError(
                f"{where}: embedder_size: expected {hidden} (hidden_size of block_decoder) over the"
                f" {self.block_length} tokens of a block, found {self._embedded}"
            )

    @property
    def _embedded(self) -> int:
        """Columns of a token's embedding."""
        return self.embedder_size or self._decoder("block_decoder").hidden_size // self.block_length

    def _decoder(self, name: str, where: str = "config") -> Decoder:
        """A decoder's record."""
        table: dict[str, Any] = {"vocab_size": self.vocab_size, **getattr(self, name)}
        kind = table.get("model_type")
        if not known(kind) or not issubclass(record(str(kind)), Decoder):
            raise InputError(
                f"{where}: {name}: model_type: expected that of a plain decoder, such as"
                f" 'gpt_neox', found {shown(kind)}"
            )
        try:
            made = record(str(kind)).model_validate(table)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(map(str, first["loc"]))
            raise InputError(f"{where}: {name}: {key}: {expectation(first['msg'])}") from None
        made.check(f"{where}: {name}")
        assert isinstance(made, Decoder)
        return made

    def network(self) -> Network:
        """Embedding, layers on blocks, their product, layers on tokens."""
        coarse, fine = self._decoder("block_decoder"), self._decoder("token_decoder")
        length, prefix = self.block_length, self.prefix
        expanded = Projection(
            *("block expansion", coarse.hidden_size, prefix * fine.hidden_size),
            *("token_decoder.expansion_layer", True),
            bias=True,
        )
        table = Embedding(self.vocab_size, fine.hidden_size, "token_decoder.embed_in")
        between: list[Block] = [*self._norms(coarse), expanded]
        above: list[list[Block]] = [
            [Coarse(b, length) for b in blocks] for blocks in _layers(coarse)
        ]
        above[-1] += [Coarse(b, length) for b in between]
        above[-1].append(Local(table, length, 0))
        below = [tuple(Local(b, length, prefix) for b in blocks) for blocks in _layers(fine)]
        return Network(
            hidden=fine.hidden_size,
            before=(Embedding(self.vocab_size, self._embedded, "embedder.embeddings"),),
            layers=grouped([*map(tuple, above), *below]),
            after=fine.network().after,
        )

    def _norms(self, coarse: Decoder) -> list[Norm]:
        """The norm behind the layers of the block decoder, on a prompt's last block alone."""
        norms = [block for block in coarse.network().after if isinstance(block, Norm)]
        return [replace(each, name="block norm", path=f"block.{each.path}") for each in norms]


def _layers(decoder: Decoder) -> list[tuple[Block, ...]]:
    """The blocks of each layer."""
    groups = decoder.network().layers
    by_number = {number: group.blocks for group in groups for number in group.numbers}
    return [by_number[number] for number in sorted(by_number)]
