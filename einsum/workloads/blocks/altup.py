"""Alternating updates: hidden states as several streams, of which a layer computes one (Gemma 3n).

Baykal et al., Alternating Updates for Efficient Transformers, NeurIPS 2023: before a layer all
streams are predicted of each other, after it they are corrected by what the layer made of the
active one; factors of both are made of the active stream, by a router. Products of the embedding
make the other streams, and products of them are averaged before the last norm, each brought to the
first stream's magnitude (`modeling_gemma3n.py`). All whole on every device.
"""

from dataclasses import dataclass

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import activation, add, copy, residual, rmsnorm, scale
from hwmodel.quantity.units import Amount

LAYER = "model.layers.{layer}"
_MAGNITUDE = """
    WANTED[t] = sum(d) H[t, d] * H[t, d]
    SQUARES[t] = sum(d) X[t, d] * X[t, d]
    Y[t, d] = X[t, d] * rsqrt(SQUARES[t] / WANTED[t])
"""


def _kernel(text: str, sizes: dict[str, Amount], kind: str, name: str) -> Cascade:
    """A kernel over hidden states, whose sums of squares are fp32."""
    inside = {tensor: "fp32" for tensor in ("WANTED", "SQUARES") if f"{tensor}[" in text}
    return parse(text, sizes=sizes, dtypes={"*": kind, **inside}, name=name)


def _projected(step: Step, share: Share, weights: tuple[Weight, ...], hidden: int) -> Stages:
    """A product for each of the other streams, each brought to the first one's magnitude."""
    sizes: dict[str, Amount] = {"t": step.tokens, "d": hidden}
    magnitude = _kernel(_MAGNITUDE, sizes, share.activation, "altup magnitude")
    return tuple(
        stage
        for weight in weights
        for stage in (
            *share.product("altup product", "altup.product", step.tokens, (weight,)),
            share.stage(magnitude, "altup.magnitude"),
        )
    )


def _projections(path: str, hidden: int, streams: int) -> tuple[Weight, ...]:
    """One square product for each stream but the first."""
    return tuple(
        Weight(f"{path}.{other}", (hidden, hidden), "linear", "streams")
        for other in range(streams - 1)
    )


@dataclass(frozen=True)
class StreamsOf:
    """The streams, made of the embedding."""

    hidden: int
    streams: int
    path: str = "model.altup_projections"

    def weights(self) -> tuple[Weight, ...]:
        """The products."""
        return _projections(self.path, self.hidden, self.streams)

    def stages(self, step: Step, share: Share) -> Stages:
        """Products, magnitudes, and the streams in one place."""
        made = copy(step.tokens * self.streams, self.hidden, share.activation, "altup stack")
        last = share.stage(made, "altup.stack")
        return (*_projected(step, share, self.weights(), self.hidden), last)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class StreamsMean:
    """The streams' mean, after the last layer, of every token."""

    hidden: int
    streams: int
    path: str = "model.altup_unembed_projections"

    def weights(self) -> tuple[Weight, ...]:
        """The products."""
        return _projections(self.path, self.hidden, self.streams)

    def stages(self, step: Step, share: Share) -> Stages:
        """Products, magnitudes, the streams in one place, their mean."""
        kind, stacked = share.activation, step.tokens * self.streams
        total = " + ".join(f"X[t, {n}, d]" for n in range(self.streams))
        text = f"rank n = {self.streams}\ntensor X[t, n, d]\nY[t, d] = ({total}) / {self.streams}"
        sizes: dict[str, Amount] = {"t": step.tokens, "d": self.hidden}
        return (
            *_projected(step, share, self.weights(), self.hidden),
            share.stage(copy(stacked, self.hidden, kind, "altup stack"), "altup.stack"),
            share.stage(_kernel(text, sizes, kind, "altup mean"), "altup.mean"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Route:
    """What a router makes of the active stream; a layer runs it before and (reused) after."""

    hidden: int
    streams: int
    path: str = f"{LAYER}.altup"

    def _router(self) -> Weight:
        shape = (self.streams, self.hidden)
        return Weight(f"{self.path}.modality_router", shape, "router", "streams")

    def weights(self) -> tuple[Weight, ...]:
        """Router and norm."""
        norm = Weight(f"{self.path}.router_norm", (self.hidden,), "norm", "norms")
        return self._router(), norm

    def stages(self, step: Step, share: Share) -> Stages:
        """Norm, factor, product, tanh."""
        tokens, kind = step.tokens, share.activation
        tanh = activation("tanh", tokens, self.streams, kind, "altup tanh")
        return (
            share.stage(rmsnorm(tokens, self.hidden, kind, "altup norm"), "altup.norm"),
            share.stage(scale(tokens, self.hidden, kind, "altup scale"), "altup.scale"),
            *share.product("altup router", "altup.router", tokens, (self._router(),)),
            share.stage(tanh, "altup.tanh"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Predict:
    """All streams of all streams, before a layer, by factors of what a `Route` has made."""

    hidden: int
    streams: int
    path: str = f"{LAYER}.altup"

    def weights(self) -> tuple[Weight, ...]:
        """The product that makes factors."""
        shape = (self.streams**2, self.streams)
        return (Weight(f"{self.path}.prediction_coefs", shape, "router", "streams"),)

    def stages(self, step: Step, share: Share) -> Stages:
        """The factors, the mixture, what it is added to, and the streams in order again."""
        kind, rows = share.activation, step.tokens * self.streams
        total = " + ".join(f"X[t, {n}, d] * C[t, {n}, m]" for n in range(self.streams))
        text = (
            f"rank n = {self.streams}\ntensor X[t, n, d]\ntensor C[t, n, m]\nY[t, m, d] = {total}"
        )
        sizes: dict[str, Amount] = {"t": step.tokens, "m": self.streams, "d": self.hidden}
        return (
            *share.product("altup factors", "altup.factors", step.tokens, self.weights()),
            share.stage(_kernel(text, sizes, kind, "altup predict"), "altup.predict"),
            share.stage(residual(rows, self.hidden, kind, "altup residual"), "altup.residual"),
            share.stage(copy(rows, self.hidden, kind, "altup copy"), "altup.copy"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Correct:
    """All streams by what the layer made of one; `scaled`: a copy of that one, times a vector."""

    hidden: int
    streams: int
    scaled: bool = True
    path: str = f"{LAYER}.altup"

    def _factors(self) -> Weight:
        shape = (self.streams, self.streams)
        return Weight(f"{self.path}.correction_coefs", shape, "router", "streams")

    def weights(self) -> tuple[Weight, ...]:
        """The product that makes factors, and the vector, which is there unused too."""
        vector = Weight(f"{self.path}.correct_output_scale", (self.hidden,), "other", "norms")
        return self._factors(), vector

    def stages(self, step: Step, share: Share) -> Stages:
        """The factors, the difference for each stream, its multiple, the sum, the copy."""
        kind, tokens, hidden = share.activation, step.tokens, self.hidden
        sizes: dict[str, Amount] = {"t": tokens, "m": self.streams, "d": hidden}
        repeat = _kernel("Y[t, m, d] = copy(X[t, d])", sizes, kind, "altup repeat")
        times = _kernel("Y[t, m, d] = X[t, m, d] * C[t, m]", sizes, kind, "altup multiply")
        made = (
            (scale(tokens, self.streams, kind, "altup factors add"), "add"),
            (add(tokens, hidden, kind, "altup difference"), "difference"),
            (repeat, "repeat"),
            (times, "multiply"),
            (residual(tokens * self.streams, hidden, kind, "altup residual"), "residual"),
            (copy(tokens, hidden, kind, "altup active copy"), "copy"),
            *(((scale(tokens, hidden, kind, "altup output scale"), "scale"),) * self.scaled),
        )
        return (
            *share.product("altup factors", "altup.factors", tokens, (self._factors(),)),
            *(share.stage(cascade, f"altup.{role}") for cascade, role in made),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Laurel:
    """Beside attention, two products by way of a low rank, a norm, and what they read added.

    Menghani, Kumar and Kumar, LAuReL: Learned Augmented Residual Layer, arXiv 2411.07501.
    """

    hidden: int
    rank: int
    path: str = f"{LAYER}.laurel"

    def _products(self) -> tuple[Weight, Weight]:
        left, right = f"{self.path}.linear_left", f"{self.path}.linear_right"
        return (
            Weight(left, (self.rank, self.hidden), "linear", "laurel"),
            Weight(right, (self.hidden, self.rank), "linear", "laurel"),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Both products and the norm."""
        norm = Weight(f"{self.path}.post_laurel_norm", (self.hidden,), "norm", "norms")
        return (*self._products(), norm)

    def stages(self, step: Step, share: Share) -> Stages:
        """Products, norm, sum."""
        (left, right), tokens, kind = self._products(), step.tokens, share.activation
        norm = rmsnorm(tokens, self.hidden, kind, "laurel norm")
        total = residual(tokens, self.hidden, kind, "laurel residual")
        return (
            *share.product("laurel left", "laurel.left", tokens, (left,)),
            *share.product("laurel right", "laurel.right", tokens, (right,)),
            share.stage(norm, "laurel.norm"),
            share.stage(total, "laurel.residual"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
