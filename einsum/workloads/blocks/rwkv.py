"""The two mixers of RWKV-4 (Peng et al., arXiv 2305.13048): of time and of channels.

Each mixes a token with the one before it by learned shares, for key, value and receptance apart; so
each keeps the last token's hidden states. Time mixing runs the WKV recurrence: a channel's state is
a numerator, a denominator and the largest exponent so far, counted as a recurrence of three
elements a channel in fp32.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import PART, Recurrence, gated, out, products
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, add, multiply


@dataclass(frozen=True)
class Shifts:
    """Shares by which a token is mixed with the one before it, by name."""

    hidden: int
    names: tuple[str, ...]
    path: str

    def weights(self) -> tuple[Weight, ...]:
        """A share of each element."""
        return tuple(
            Weight(f"{self.path}.time_mix_{name}", (self.hidden,), "other", PART)
            for name in self.names
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """Two products and a sum, for each."""
        tokens, kind, often = step.tokens, share.activation, len(self.names)
        product = multiply(tokens, self.hidden, kind, "shift multiply")
        total = add(tokens, self.hidden, kind, "shift add")
        return (
            share.stage(product, f"{PART}.shift", runs=2 * often),
            share.stage(total, f"{PART}.shift add", runs=often),
        )

    def cache(self) -> Cache | None:
        """The token before."""
        return Cache(state=self.hidden)


@dataclass(frozen=True)
class TimeMix:
    """Sizes of one layer's mixer of time."""

    hidden: int
    width: int
    path: str

    @property
    def split(self) -> Split:
        """Channels by device."""
        return Split("attention_hidden_size", self.width)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps states: shifts, and the recurrence."""
        alone = Split("one group", 1, repeated=True)
        shifts = Shifts(self.hidden, ("key", "value", "receptance"), self.path)
        return shifts, Recurrence(
            "channel", self.width, self.split, 1, alone, 3, 1, state_format="fp32"
        )

    def _in(self) -> tuple[Weight, ...]:
        run = ((self.width, self.split),)
        names = ("key", "value", "receptance")
        return tuple(w for n in names for w in products(f"{self.path}.{n}", run, self.hidden))

    def _out(self) -> Weight:
        return out(f"{self.path}.output", self.hidden, self.width, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Shares, products, decays and first steps."""
        vectors = tuple(
            Weight(f"{self.path}.time_{name}", (self.width,), "other", PART, self.split)
            for name in ("decay", "first")
        )
        return (*self.parts[0].weights(), *self._in(), self._out(), *vectors)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states; inputs differ, so do products."""
        tokens, (shifts, state) = step.tokens, self.parts
        made = [
            stage
            for weight in self._in()
            for stage in share.product("mixer input", f"{PART}.input", tokens, (weight,))
        ]
        back = share.product("mixer output", f"{PART}.output", tokens, (self._out(),))
        return (
            *(*shifts.stages(step, share), *made, *state.stages(step, share)),
            *gated(share, tokens, share.of(self.split), "sigmoid", "mixer"),
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its parts keep states."""
        return None


@dataclass(frozen=True)
class ChannelMix:
    """Sizes of one layer's mixer of channels: a squared ReLU, weighed by a receptance."""

    hidden: int
    inner: int
    path: str

    @property
    def split(self) -> Split:
        """Inner columns by device."""
        return Split("intermediate_size", self.inner)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps the token before."""
        return (Shifts(self.hidden, ("key", "receptance"), self.path),)

    def _products(self) -> tuple[Weight, Weight, Weight]:
        shape, paths = (self.inner, self.hidden), ("key", "receptance", "value")
        key, receptance, value = (f"{self.path}.{name}" for name in paths)
        return (
            Weight(key, shape, "linear", "mlp", self.split),
            Weight(receptance, (self.hidden, self.hidden), "linear", "mlp"),
            Weight(value, shape[::-1], "linear", "mlp", self.split, axis=1),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Shares and products."""
        return (*self.parts[0].weights(), *self._products())

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states; the receptance is on every device."""
        tokens, kind, hidden = step.tokens, share.activation, self.hidden
        key, receptance, value = self._products()
        squared = activation("relu2", tokens, share.of(self.split), kind, "mlp relu squared")
        down = share.product("mlp value", "mlp.down", tokens, (value,))
        return (
            *self.parts[0].stages(step, share),
            *share.product("mlp key", "mlp.up", tokens, (key,)),
            share.stage(squared, "mlp.activation"),
            *share.reduced(down, tokens, hidden),
            *share.product("mlp receptance", "mlp.receptance", tokens, (receptance,)),
            *gated(share, tokens, hidden, "sigmoid", "mlp"),
        )

    def cache(self) -> Cache | None:
        """Its part keeps the token before."""
        return None
