"""Tokens of a text beside those of an image: apart in some products, together in attention.

Stable Diffusion 3 (Esser et al., arXiv 2403.03206) and Flux: each stream has products, norms and an
MLP of its own; attention is of all tokens of both. A step counts tokens of the image, its text has
as many as said.
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, copy
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class OfText:
    """A block on the tokens of the text, or with `both` on those of text and image together."""

    block: Block
    tokens: int
    both: bool = False

    @property
    def parts(self) -> tuple[Block, ...]:
        """The block, which may keep something."""
        return (self.block,)

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block."""
        return self.block.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block."""
        rows: Amount = step.queries + self.tokens if self.both else self.tokens
        return self.block.stages(replace(step, queries=rows, context=rows), share)

    def cache(self) -> Cache | None:
        """Its part keeps what is kept."""
        return None


@dataclass(frozen=True)
class Joint:
    """Attention of all tokens of an image and a text, each stream with products of its own.

    `image` and `text` have the same heads. Where the text goes no further, its output is not made
    (`ends`).
    """

    image: Attention
    text: Attention
    tokens: int
    ends: bool = False

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return self.image.words

    def weights(self) -> tuple[Weight, ...]:
        """Those of both streams."""
        last = self.text.output().path
        text = (w for w in self.text.weights() if not (self.ends and w.path == last))
        return (*self.image.weights(), *text)

    def stages(self, step: Step, share: Share) -> Stages:
        """Products of each stream, attention of both, products of each."""
        both = step.queries + self.tokens
        words = replace(step, queries=self.tokens, context=self.tokens)
        heads = share.of(self.image.query_split)
        scores = attention(
            batch=step.batch,
            heads=heads,
            queries=both,
            keys=both,
            head_dim=self.image.head_dim,
            dtype=share.activation,
            out_dtype=share.activation,
            name="joint attention",
        )
        joined = copy(
            step.batch * both * heads, self.image.head_dim, share.activation, "streams join"
        )
        return (
            *self.image.read(step, share),
            *self.text.read(words, share),
            share.stage(joined, "attention.join", runs=3),
            share.stage(scores, "attention.scores"),
            *self.image.left(step, share),
            *(() if self.ends else self.text.left(words, share)),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Single:
    """Attention and an MLP of the same hidden states side by side, with one product behind both."""

    heads: Attention
    intermediate: int
    act: str
    path: str

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return self.heads.words

    def _up(self) -> Weight:
        shape, path = (self.intermediate, self.heads.hidden), f"{self.path}.proj_mlp"
        return Weight(path, shape, "linear", "mlp", Split("mlp", self.intermediate))

    def _out(self) -> tuple[Weight, Weight]:
        """The product behind both, by what it reads."""
        hidden, path = self.heads.hidden, f"{self.path}.proj_out"
        inner, split = self.heads.heads * self.heads.head_dim, Split("mlp", self.intermediate)
        return (
            Weight(path, (hidden, inner), "linear", "attention", self.heads.query_split, 1),
            Weight(path, (hidden, self.intermediate), "linear", "mlp", split, 1),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Products of heads, of the MLP, and that behind both, with biases."""
        output, up, out = self.heads.output().path, self._up(), self._out()
        shift = Weight(up.path, up.shape[:1], "bias", "biases", up.split)
        last = Weight(out[0].path, out[0].shape[:1], "bias", "biases")
        return (*(w for w in self.heads.weights() if w.path != output), up, *out, shift, last)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, kind, hidden = step.tokens, share.activation, self.heads.hidden
        up, out = self._up(), self._out()
        inner, wide = share.of(self.heads.query_split) * self.heads.head_dim, up.sizes(share.tp)[0]
        act = activation(self.act, tokens, wide, kind)
        scores = attention(
            batch=step.batch,
            heads=share.of(self.heads.query_split),
            queries=step.queries,
            keys=step.queries,
            head_dim=self.heads.head_dim,
            dtype=kind,
            out_dtype=kind,
        )
        joined = copy(tokens, inner + wide, kind, "branches join")
        columns = sum(weight.sizes(share.tp)[1] for weight in out)
        whole = Weight(out[0].path, (hidden, columns), "linear", "mlp")
        made = share.product("branches output", "mlp.output", tokens, (whole,), bias=True)
        return (
            *self.heads.read(step, share),
            *share.product("mlp up", "mlp.up", tokens, (up,), bias=True),
            share.stage(act, "mlp.activation"),
            share.stage(scores, "attention.scores"),
            share.stage(joined, "mlp.join"),
            *share.reduced(made, tokens, hidden),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
