"""Decoders said layer by layer in our own keys: kinds of layers as lists of blocks, recursions.

`kinds` names lists of blocks, each between a norm and a residual addition; `layer_types` says which
kind each layer is. A block may be passed by a share of the `tokens` alone (mixture of depths), or
be a `choice` of several. Layers may be applied again, `recursions` times in all, with their weights
held once: each application sees fewer tokens (Mixture-of-Recursions, arXiv 2507.10524), whose keys
and values it keeps for itself, or takes `all` from the first. The first and last layers may stand
outside of the recursion. So BASED, mixtures of depths, recursions, Duo-LLM and VersatileFFN are
configs, with any sizes.
"""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.gated_conv import GatedConv
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Residual
from hwmodel.einsum.workloads.blocks.recursed import linear, recursed
from hwmodel.einsum.workloads.blocks.routed import Choice, Keys, Routed
from hwmodel.einsum.workloads.blocks.taylor_attention import TaylorAttention
from hwmodel.einsum.workloads.blocks.versatile import VersatileMlp
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Whole
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("layered",)
USUAL = "layer"
Probability: TypeAlias = Annotated[float, Field(gt=0, le=1)]
ROUNDING = 1e-9


class LayerPart(BaseModel):
    """A block of a layer; `tokens` is the share of the tokens that pass it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tokens: Probability = 1.0

    def made(self, config: "Config", at: int) -> Block:
        """The block, the one `at` this place in its layer."""
        raise NotImplementedError


class Heads(LayerPart):
    """Attention with keys and values by head, to the last `window` tokens where that is said."""

    block: Literal["attention"]
    window: Count | None = None
    kv_heads: Count | None = None

    def made(self, config: "Config", at: int) -> Block:
        """Attention of the config's heads."""
        return config.heads(
            self.window, kv_heads=self.kv_heads or config.key_heads, path=config.path("attn", at)
        )


class Linear(LayerPart):
    """Linear attention by a Taylor series."""

    block: Literal["linear_attention"]
    feature_dim: Count = 16
    chunk: Count = 64

    def made(self, config: "Config", at: int) -> Block:
        """Linear attention of the config's heads."""
        sizes = (config.hidden_size, config.num_attention_heads, config.head_size)
        return TaylorAttention(*sizes, self.feature_dim, self.chunk, config.path("linear", at))


class Convolution(LayerPart):
    """A short convolution of `inner` channels (twice the hidden size) and its gate."""

    block: Literal["gated_conv"]
    taps: Count = 3
    inner: Count | None = None

    def made(self, config: "Config", at: int) -> Block:
        """The mixer."""
        inner = self.inner or 2 * config.hidden_size
        return GatedConv(config.hidden_size, inner, self.taps, path=config.path("conv", at))


class Gated(LayerPart):
    """A gated MLP of `width` columns (`intermediate_size`)."""

    block: Literal["mlp"]
    width: Count | None = None

    def made(self, config: "Config", at: int) -> Block:
        """The MLP."""
        width = self.width or config.inner_size
        return config.gated(intermediate=width, path=config.path("mlp", at))


class Plain(LayerPart):
    """An MLP of two products, of `width` columns (`intermediate_size`)."""

    block: Literal["plain_mlp"]
    width: Count | None = None

    def made(self, config: "Config", at: int) -> Block:
        """The MLP."""
        width = self.width or config.inner_size
        return replace(config.plain(path=config.path("mlp", at)), intermediate=width)


class Versatile(LayerPart):
    """A gated MLP as `active` of `slices` for some tokens, `loops` times for a `deep` share."""

    block: Literal["versatile_mlp"]
    width: Count | None = None
    slices: Count = 8
    active: Count = 2
    loops: Count = 2
    deep: Annotated[float, Field(ge=0, le=1)] = 0.5

    def made(self, config: "Config", at: int) -> Block:
        """The MLP."""
        width = self.width or config.inner_size
        mlp = config.gated(intermediate=width, path=config.path("mlp", at))
        return VersatileMlp(mlp, self.slices, self.active, self.loops, self.deep)


class Ways(LayerPart):
    """Blocks of which each token passes one with a probability, its `tokens`, or none."""

    block: Literal["choice"]
    ways: tuple["AnyPart", ...]

    def made(self, config: "Config", at: int) -> Block:
        """The choice and its router."""
        ways = tuple(way.made(config, 10 * at + n) for n, way in enumerate(self.ways))
        shares = tuple(way.tokens for way in self.ways)
        return Choice(config.hidden_size, ways, shares, config.path("router", at))


AnyPart: TypeAlias = Annotated[
    Heads | Linear | Convolution | Gated | Plain | Versatile | Ways, Field(discriminator="block")
]
Ways.model_rebuild()
LAYER: tuple[AnyPart, ...] = (Heads(block="attention"), Gated(block="mlp"))
"""What a layer is where nothing is said."""


class Config(Decoder):
    """Kinds of layers, and how often layers are applied.

    `num_hidden_layers` are those with weights of their own. Of these `unshared_first` and
    `unshared_last` run once, the others `recursions` times, each time on one of
    `recursion_shares` of the tokens (by default all of n applications are left by 1/n each).
    """

    REQUIRED: ClassVar[tuple[str, ...]] = ()

    kinds: dict[str, tuple[AnyPart, ...]] = Field(default_factory=lambda: {USUAL: LAYER})
    layer_types: tuple[str, ...] | None = None
    recursions: Count = 1
    recursion_shares: tuple[Probability, ...] | None = None
    recursion_keys: Keys = "own"
    unshared_first: Whole = 0
    unshared_last: Whole = 0

    def path(self, name: str, at: int) -> str:
        """Module of a layer's block."""
        return f"{self.LAYER}.{name}{at}"

    @property
    def types(self) -> tuple[str, ...]:
        """Kind of each layer."""
        return self.layer_types or (USUAL,) * self.num_hidden_layers

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the tokens that each application sees."""
        return self.recursion_shares or linear(self.recursions)

    def network(self) -> Network:
        """The layers once, and those that are applied again."""
        types, last = self.types, self.num_hidden_layers - self.unshared_last
        first, again = types[: self.unshared_first], types[self.unshared_first : last]
        layers = [self._layer(kind) for kind in first]
        layers += recursed([self._layer(kind) for kind in again], self.shares, self.recursion_keys)
        layers += [self._layer(kind) for kind in types[last:]]
        return self.between(layers)

    def _layer(self, kind: str) -> tuple[Block, ...]:
        """The blocks of a kind of layer."""
        made: list[Block] = []
        for at, part in enumerate(self.kinds[kind]):
            name = "attention" if isinstance(part, (Heads, Linear, Convolution)) else "mlp"
            whole = (
                *self.norm(f"{name} norm", f"{self.LAYER}.norm{at}"),
                part.made(self, at),
                Residual(f"{name} residual", self.hidden_size),
            )
            share = part.tokens
            made += whole if share == 1 else [Routed(block, share) for block in whole]
        return tuple(made)

    def _check_layers(self, where: str) -> None:
        """As many kinds as layers, all of them known; shares as many as applications."""
        if len(self.types) != self.num_hidden_layers:
            raise InputError(
                f"{where}: layer_types: expected one entry for each of the"
                f" {self.num_hidden_layers} layers, found {len(self.types)}"
            )
        unknown = [kind for kind in self.types if kind not in self.kinds]
        if unknown:
            raise InputError(
                f"{where}: layer_types: expected names of 'kinds' ({', '.join(self.kinds)}), found"
                f" {unknown[0]!r}"
            )
        if len(self.shares) != self.recursions:
            raise InputError(
                f"{where}: recursion_shares: expected one for each of the {self.recursions}"
                f" applications, found {len(self.shares)}"
            )
        if self.unshared_first + self.unshared_last > self.num_hidden_layers:
            raise InputError(
                f"{where}: unshared_first and unshared_last: expected"
                f" {self.num_hidden_layers} layers at most, found"
                f" {self.unshared_first + self.unshared_last}"
            )
        for part in (each for kind in self.types for each in self.kinds[kind]):
            self._check_part(where, part)

    def _check_part(self, where: str, part: Any) -> None:
        """Ways that are no more than all tokens, slices that divide."""
        if isinstance(part, Ways):
            total = sum(way.tokens for way in part.ways)
            if total > 1 + ROUNDING:
                raise InputError(
                    f"{where}: choice: expected shares of tokens that sum to 1 at most, found"
                    f" {total:g}"
                )
            for way in part.ways:
                self._check_part(where, way)
        if isinstance(part, Versatile):
            width = part.width or self.inner_size
            if width % part.slices or part.active > part.slices:
                raise InputError(
                    f"{where}: versatile_mlp: expected slices that divide its {width} columns, no"
                    f" fewer than the {part.active} active ones, found {part.slices}"
                )
