"""Embeddings by layer: a second table gives each layer a narrow input of its own (Gemma 3n and 4).

Before the layers its row, and a product of the embedding that is normalised, are added and scaled;
in each layer a gate of hidden states multiplies the layer's part, and a product with a norm behind
it is added (`modeling_gemma4.py`).
"""

from dataclasses import dataclass

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, add, multiply, residual, rmsnorm, scale
from hwmodel.einsum.workloads.transformer import embedding
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class LayerTable:
    """A table of `layers` x `width` columns, with the product and the norm beside it."""

    vocabulary: int
    hidden: int
    layers: int
    width: int
    path: str = "model"

    def _parts(self) -> tuple[Weight, Weight, Weight]:
        columns, split = self.layers * self.width, Split("vocab_size", self.vocabulary, ragged=True)
        table, product = "embed_tokens_per_layer", "per_layer_model_projection"
        norm = f"{self.path}.per_layer_projection_norm"
        return (
            Weight(
                *(f"{self.path}.{table}", (self.vocabulary, columns), "table", "embedding", split)
            ),
            Weight(f"{self.path}.{product}", (columns, self.hidden), "linear", "embedding"),
            Weight(norm, (self.width,), "norm", "norms"),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Table, product and norm."""
        return self._parts()

    def stages(self, step: Step, share: Share) -> Stages:
        """A gather, its factor, the product, its factor and norm, their sum, its factor."""
        table, product, _ = self._parts()
        tokens, kind, columns = step.tokens, share.activation, self.layers * self.width
        gathered = embedding(
            *(tokens, table.sizes(share.tp)[0], columns, kind, share.precision.unquantised),
            name="layers' embedding",
        )
        made = (
            scale(tokens, columns, kind, "layers' product scale"),
            rmsnorm(tokens * self.layers, self.width, kind, name="layers' norm"),
            add(tokens, columns, kind, "layers' add"),
            scale(tokens, columns, kind, "layers' scale"),
        )
        first = scale(tokens, columns, kind, "layers' embedding scale")
        return (
            *share.reduced((share.stage(gathered, "embedding.layers"),), tokens, columns),
            share.stage(first, "embedding.layers"),
            *share.product("layers' product", "embedding.layers", tokens, (product,)),
            *(share.stage(each, "embedding.layers") for each in made),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class LayerInput:
    """What a layer makes of its part, and adds to so many `streams` of hidden states."""

    hidden: int
    width: int
    act: str
    path: str = "model.layers.{layer}"
    streams: int = 1

    def _products(self) -> tuple[Weight, Weight]:
        gate, out = f"{self.path}.per_layer_input_gate", f"{self.path}.per_layer_projection"
        return (
            Weight(gate, (self.width, self.hidden), "linear", "mlp"),
            Weight(out, (self.hidden, self.width), "linear", "mlp"),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Gate, product and norm."""
        norm = Weight(f"{self.path}.post_per_layer_input_norm", (self.hidden,), "norm", "norms")
        return (*self._products(), norm)

    def stages(self, step: Step, share: Share) -> Stages:
        """Gate, activation, multiply, product, norm, sum."""
        (gate, out), tokens, kind = self._products(), step.tokens, share.activation
        opened = (
            activation(self.act, tokens, self.width, kind, "layer input activation"),
            multiply(tokens, self.width, kind, "layer input multiply"),
        )
        closed = (
            rmsnorm(tokens, self.hidden, kind, name="layer input norm"),
            self._added(step, share),
        )
        return (
            *share.product("layer input gate", "layer input", tokens, (gate,)),
            *(share.stage(each, "layer input") for each in opened),
            *share.product("layer input product", "layer input", tokens, (out,)),
            *(share.stage(each, "layer input") for each in closed),
        )

    def _added(self, step: Step, share: Share) -> Cascade:
        """The sum; of several streams, one kernel that reads what is added once."""
        kind, name = share.activation, "layer input residual"
        if self.streams == 1:
            return residual(step.tokens, self.hidden, kind, name)
        sizes: dict[str, Amount] = {"t": step.tokens, "m": self.streams, "d": self.hidden}
        text = "Y[m, t, d] = X[m, t, d] + Z[t, d]"
        return parse(text, sizes=sizes, dtypes={"*": kind}, name=name)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
