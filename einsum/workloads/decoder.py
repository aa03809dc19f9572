"""Decoder-only transformers: the keys that their configs share, and their layers.

A layer is norm, attention, residual addition, norm, MLP (or experts), residual addition; before the
layers the embedding, after them a norm and the head, on each sequence's last token only. As kernels
it is the plain, unfused stack that `kernel: torch` means; no sampling, no host.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.beside import Beside
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.ends import Embedding, Head
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Kind, Norm, Residual
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.scale import LogitScale, Scale
from hwmodel.einsum.workloads.record import Config, Count, Flag, Layers
from hwmodel.einsum.workloads.rows import ACTIVATIONS
from hwmodel.quantity.errors import CoverageError, InputError

Norms: TypeAlias = tuple[str | None, str | None, str | None, str | None]
"""Modules of a layer's norms: before and after attention, before and after the MLP."""
USUAL: Norms = ("input_layernorm", None, "post_attention_layernorm", None)


class Decoder(Config):
    """The keys of a plain decoder, and the blocks that they make; a subclass says what differs.

    `NORM` is the kind of all norms; `NORMS` names those of a layer: before and after attention,
    before and after the MLP; `KINDS` are those of layers that `layer_types` may say. `LAYER`,
    `EMBEDDING`, `FINAL` and `HEAD` name modules. `ROTATED` is the share of a head that is rotated
    where the config does not say; `UNEVEN`: heads are rounded down where they do not divide the
    hidden size.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = ("num_key_value_heads",)
    NULLED: ClassVar[frozenset[str]] = frozenset({"num_key_value_heads"})
    ROTATED: ClassVar[float] = 1.0
    UNEVEN: ClassVar[bool] = False
    NORM: ClassVar[Kind] = "rms"
    NORMS: ClassVar[Norms] = USUAL
    KINDS: ClassVar[tuple[str, ...]] = ("full_attention", "sliding_attention")
    LAYER: ClassVar[str] = "model.layers.{layer}"
    EMBEDDING: ClassVar[str] = "model.embed_tokens"
    FINAL: ClassVar[str] = "model.norm"
    HEAD: ClassVar[str] = "lm_head"

    hidden_size: Count
    intermediate_size: Count | None
    num_hidden_layers: Layers
    num_attention_heads: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    vocab_size: Count
    hidden_act: str = "silu"
    tie_word_embeddings: Flag = False
    layer_types: tuple[str, ...] | None = None

    def network(self) -> Network:
        """The layers, each with its window."""
        windows = self.windows()
        layers = [
            self.layer(self.attention_in(layer, windows[layer]), self.inner(layer))
            for layer in range(self.num_hidden_layers)
        ]
        return self.between(layers)

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention of a layer, where layers differ in more than their window."""
        return self.attention(window)

    def attention(self, window: int | None) -> Block:
        """A layer's attention."""
        return self.heads(window)

    def inner(self, layer: int) -> Block:
        """What a layer has after its attention."""
        return self.gated()

    def heads(self, window: int | None, **more: Any) -> Attention:
        """Attention of these sizes; a subclass gives what differs."""
        share = self.rotated(self.ROTATED)
        turned = None if share == 1 else int(self.head_size * share) // 2 * 2
        usual: dict[str, Any] = {
            **{"hidden": self.hidden_size, "heads": self.num_attention_heads},
            **{"kv_heads": self.key_heads, "head_dim": self.head_size, "window": window},
            **{"rotated": turned, "path": f"{self.LAYER}.self_attn"},
        }
        return Attention(**{**usual, **more})

    def gated(self, **more: Any) -> Mlp:
        """A gated MLP of these sizes."""
        usual: dict[str, Any] = {"act": self.hidden_act, "path": f"{self.LAYER}.mlp"}
        usual |= {"hidden": self.hidden_size, "intermediate": self.inner_size}
        return Mlp(**{**usual, **more})

    def plain(self, **more: Any) -> PlainMlp:
        """An MLP of two products of these sizes."""
        usual: dict[str, Any] = {"act": self.hidden_act, "path": f"{self.LAYER}.mlp"}
        return PlainMlp(self.hidden_size, self.inner_size, **{**usual, **more})

    def experts(self, **sizes: Any) -> Mixture:
        """A mixture of experts; a subclass gives its sizes and what differs."""
        usual: dict[str, Any] = {"path": f"{self.LAYER}.mlp"}
        return Mixture(self.hidden_size, **{**usual, **sizes})

    def shared(self, routed: Block, width: int, path: str, gate: str | None = None) -> Block:
        """A mixture with a gated MLP of all tokens beside it, if that has any columns."""
        if not width:
            return routed
        return Beside(
            *(self.hidden_size, routed),
            Mlp(self.hidden_size, width, path=f"{self.LAYER}.{path}", act=self.hidden_act),
            gate=None if gate is None else f"{self.LAYER}.{gate}",
        )

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def inner_size(self) -> int:
        """Columns between the products of the MLP."""
        return self.intermediate_size or 0

    @property
    def head_size(self) -> int:
        """Size of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def parallel(self) -> bool:
        """Whether attention and MLP read the same hidden states, and are added together."""
        return False

    @property
    def scaled(self) -> frozenset[str]:
        """What a factor multiplies: "embedding", "residual", "logits"."""
        return frozenset()

    def norm(self, name: str, module: str | None, *, last: bool = False) -> tuple[Block, ...]:
        """A norm of hidden states, where there is one."""
        if module is None:
            return ()
        return (Norm(name, module, self.hidden_size, self.NORM, last=last),)

    def layer(
        self, attention: Block, inner: Block, norms: Norms | None = None
    ) -> tuple[Block, ...]:
        """The blocks of a layer with the norms that it has, in one order or side by side."""
        names = ("attention norm", "attention output norm", "mlp norm", "mlp output norm")
        held = self.NORMS if norms is None else norms
        modules = [None if name is None else f"{self.LAYER}.{name}" for name in held]
        before, after, inner_before, inner_after = map(self.norm, names, modules)
        sums = [self.added(f"{name} residual") for name in ("attention", "mlp")]
        if self.parallel:
            sides = (*before, attention, *after, *inner_before, inner, *inner_after)
            return (*sides, *sums[0], *sums[1])
        return (
            *(*before, attention, *after, *sums[0]),
            *(*inner_before, inner, *inner_after, *sums[1]),
        )

    def added(self, name: str) -> tuple[Block, ...]:
        """A residual addition, of what a factor may have multiplied."""
        factor = (Scale(f"{name} scale", self.hidden_size),) if "residual" in self.scaled else ()
        return (*factor, Residual(name, self.hidden_size))

    def embedded(self) -> tuple[Block, ...]:
        """What makes hidden states of tokens."""
        table = Embedding(self.vocab_size, self.hidden_size, self.EMBEDDING)
        factor = Scale("embedding scale", self.hidden_size)
        return (table, *((factor,) if "embedding" in self.scaled else ()))

    def ended(self) -> tuple[Block, ...]:
        """What makes logits of hidden states."""
        factor = (LogitScale(self.vocab_size),) if "logits" in self.scaled else ()
        return (
            *self.norm("final norm", self.FINAL, last=True),
            self.head(),
            *factor,
        )

    def head(self, **more: Any) -> Head:
        """The head of these sizes; a subclass gives what differs."""
        sizes = (self.vocab_size, self.hidden_size, self.tie_word_embeddings)
        return Head(*sizes, self.HEAD, self.EMBEDDING, **more)

    def between(self, layers: Sequence[tuple[Block, ...]]) -> Network:
        """The layers between embedding and head."""
        return Network(
            hidden=self.hidden_size,
            before=self.embedded(),
            layers=grouped(layers),
            after=self.ended(),
        )

    def windows(self) -> tuple[int | None, ...]:
        """Sliding window of each layer, None where attention sees the whole context."""
        window: int | None = getattr(self, "sliding_window", None)
        if self.layer_types is not None:
            return tuple(
                window if kind == "sliding_attention" else None for kind in self.layer_types
            )
        return (window,) * self.num_hidden_layers

    def check(self, where: str) -> None:
        """Heads that divide, layers that are as many as said."""
        if self.hidden_act not in ACTIVATIONS:
            raise CoverageError(
                f"{where}: hidden_act: {self.hidden_act!r} is not modelled; expected"
                f" {', '.join(map(repr, ACTIVATIONS))}"
            )
        super().check(where)
        if self.num_attention_heads % self.key_heads:
            raise InputError(
                f"{where}: num_key_value_heads: expected a divisor of num_attention_heads"
                f" ({self.num_attention_heads}), found {self.key_heads}"
            )
        if not self.inner_size:
            raise InputError(f"{where}: expected the key 'intermediate_size', found none")
        if (
            self.head_dim is None
            and not self.UNEVEN
            and self.hidden_size % self.num_attention_heads
        ):
            raise InputError(
                f"{where}: hidden_size: expected a multiple of num_attention_heads"
                f" ({self.num_attention_heads}) or a key 'head_dim', found {self.hidden_size}"
            )
        self._check_layers(where)

    def _check_layers(self, where: str) -> None:
        kinds = self.layer_types
        if kinds is None:
            return
        if len(kinds) != self.num_hidden_layers:
            raise InputError(
                f"{where}: layer_types: expected one entry for each of the"
                f" {self.num_hidden_layers} layers, found {len(kinds)}"
            )
        for kind in kinds:
            if kind not in self.KINDS:
                raise CoverageError(
                    f"{where}: layer_types: {kind!r} is not modelled;"
                    f" expected {' or '.join(map(repr, self.KINDS))}"
                )
        if "sliding_attention" in kinds and getattr(self, "sliding_window", None) is None:
            raise InputError(
                f"{where}: layer_types: sliding_attention needs the key 'sliding_window'"
            )


def check_experts(where: str, experts: int | None, picks: int | None) -> None:
    """A token takes no more experts than there are."""
    if experts and picks and picks > experts:
        raise InputError(
            f"{where}: num_experts_per_tok: expected at most the {experts} experts, found {picks}"
        )


def every(count: int, config: Decoder) -> tuple[int | None, ...]:
    """Windows of layers of which every so many has none."""
    window: int | None = getattr(config, "sliding_window", None)
    layers = range(config.num_hidden_layers)
    return tuple(window if (layer + 1) % count else None for layer in layers)
