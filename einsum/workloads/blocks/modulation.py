"""adaLN-Zero: what an image is made of says how its tokens are scaled, shifted and gated.

Peebles and Xie, arXiv 2212.09748: a layer makes six vectors of the embedding of
timestep and class, on one row of each image; the tokens between are modulated by them.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import activation, add
from hwmodel.einsum.workloads.transformer import embedding
from hwmodel.einsum.workloads.workload import formats, instance, once, whole
from hwmodel.quantity.units import Amount

FREQUENCIES: Final = 256
"""Sines and cosines of a timestep."""

How: TypeAlias = Literal["scale", "shift", "gate"]
_TEXTS: Final[dict[How, str]] = {
    "scale": "Y[b, r, c] = X[b, r, c] * (Z[b, c] + 1)",
    "shift": "Y[b, r, c] = X[b, r, c] + Z[b, c]",
    "gate": "Y[b, r, c] = X[b, r, c] * Z[b, c]",
}


@once
def modulate(
    how: How, batch: Amount, rows: Amount, cols: Amount, dtype: str, name: str | None = None
) -> Cascade:
    """Tokens [batch, rows, cols] with a vector [batch, cols]: one kernel, element by element."""
    arguments = {**locals()}
    sizes = whole(how, batch=batch, rows=rows, cols=cols)
    stored = formats(how, dtype=dtype)["dtype"]
    return instance(
        *(f"modulate {how}", modulate, _TEXTS[how]),
        sizes={"b": sizes["batch"], "r": sizes["rows"], "c": sizes["cols"]},
        dtypes=dict.fromkeys(("X", "Y", "Z"), stored),
        arguments=arguments,
        name=name,
    )


@dataclass(frozen=True)
class Conditioning:
    """An image's row: a timestep through two products, and a row of the table of classes.

    `classes` counts that of no class. The sines themselves, 256 an image, are left out.
    """

    hidden: int
    classes: int
    path: str

    def _products(self) -> tuple[Weight, Weight]:
        path, hidden = f"{self.path}.timestep_embedder", self.hidden
        return (
            Weight(f"{path}.linear_1", (hidden, FREQUENCIES), "linear", "modulation"),
            Weight(f"{path}.linear_2", (hidden, hidden), "linear", "modulation"),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Two products with biases, and the table."""
        path, products = f"{self.path}.class_embedder.embedding_table", self._products()
        return (
            *products,
            *(Weight(each.path, (self.hidden,), "bias", "biases") for each in products),
            Weight(path, (self.classes, self.hidden), "table", "embedding"),
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """Kernels over one row of each image."""
        images, kind, hidden = step.batch, share.activation, self.hidden
        first, second = self._products()
        act = activation("silu", images, hidden, kind, "timestep silu")
        table = embedding(
            *(images, self.classes, hidden, kind, share.precision.unquantised), name="classes"
        )
        return (
            *share.product("timestep in", "modulation.timestep", images, (first,), bias=True),
            share.stage(act, "modulation.activation"),
            *share.product("timestep out", "modulation.timestep", images, (second,), bias=True),
            share.stage(table, "modulation.classes"),
            share.stage(add(images, hidden, kind, "classes add"), "modulation.add"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Embedder:
    """An image's row: `inputs` numbers of it through two products, added to what is there."""

    name: str
    inputs: int
    hidden: int
    path: str

    def _products(self) -> tuple[Weight, Weight]:
        first, second = (self.hidden, self.inputs), (self.hidden, self.hidden)
        return (
            Weight(f"{self.path}.linear_1", first, "linear", "modulation"),
            Weight(f"{self.path}.linear_2", second, "linear", "modulation"),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Two products with biases."""
        products = self._products()
        return (*products, *(Weight(w.path, (self.hidden,), "bias", "biases") for w in products))

    def stages(self, step: Step, share: Share) -> Stages:
        """Kernels over one row of each image."""
        images, kind, (first, second) = step.sequences, share.activation, self._products()
        act = activation("silu", images, self.hidden, kind, f"{self.name} silu")
        total, role = add(images, self.hidden, kind, f"{self.name} add"), "modulation.embedder"
        return (
            *share.product(f"{self.name} in", role, images, (first,), bias=True),
            share.stage(act, "modulation.activation"),
            *share.product(f"{self.name} out", role, images, (second,), bias=True),
            share.stage(total, "modulation.add"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Labels:
    """An image's row: that of its class in a table."""

    hidden: int
    classes: int
    path: str

    def weights(self) -> tuple[Weight, ...]:
        """The table."""
        return (Weight(self.path, (self.classes, self.hidden), "table", "embedding"),)

    def stages(self, step: Step, share: Share) -> Stages:
        """A gather of one row of each image."""
        kind = share.precision.unquantised
        sizes = (step.sequences, self.classes, self.hidden, share.activation, kind)
        return (share.stage(embedding(*sizes, name="classes"), "modulation.classes"),)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Vectors:
    """So many vectors of each image: a SiLU of its row, and a product; whole on every device."""

    name: str
    hidden: int
    count: int
    path: str

    @property
    def _matrix(self) -> Weight:
        return Weight(self.path, (self.count * self.hidden, self.hidden), "linear", "modulation")

    def weights(self) -> tuple[Weight, ...]:
        """The product, and its bias."""
        return self._matrix, Weight(self.path, self._matrix.shape[:1], "bias", "biases")

    def stages(self, step: Step, share: Share) -> Stages:
        """Two kernels over one row of each image."""
        act = activation("silu", step.batch, self.hidden, share.activation, f"{self.name} silu")
        return (
            share.stage(act, "modulation.activation"),
            *share.product(self.name, "modulation.vectors", step.batch, (self._matrix,), bias=True),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Modulated:
    """Tokens, with vectors of their image: a kernel for each way of `how`.

    1 is added to a scale within its kernel; torch does so on an image's row before.
    """

    name: str
    hidden: int
    how: tuple[How, ...]

    def weights(self) -> tuple[Weight, ...]:
        """It has none."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """Kernels over all tokens."""
        sizes = (step.batch, step.queries, self.hidden, share.activation)
        return tuple(
            share.stage(modulate(how, *sizes, f"{self.name} {how}"), f"modulation.{how}")
            for how in self.how
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
