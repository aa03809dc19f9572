"""Attention of one learned query to all tokens, and an MLP: SigLIP's end (arXiv 2303.15343)."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import activation, layernorm, residual


@dataclass(frozen=True)
class Probe:
    """Sizes of the attention and of the MLP; whole on every device."""

    hidden: int
    heads: int
    intermediate: int
    act: str
    path: str = "head"

    def _products(self) -> tuple[Weight, ...]:
        hidden, inner = self.hidden, self.intermediate
        sizes = {
            "attention.in_proj.q": (hidden, hidden),
            "attention.in_proj.kv": (2 * hidden, hidden),
            "attention.out_proj": (hidden, hidden),
            "mlp.fc1": (inner, hidden),
            "mlp.fc2": (hidden, inner),
        }
        names = ((f"{self.path}.{name}", size) for name, size in sizes.items())
        return tuple(Weight(name, size, "linear", "pooler") for name, size in names)

    def weights(self) -> tuple[Weight, ...]:
        """The query, products with biases, a norm."""
        products = self._products()
        norm = Weight(f"{self.path}.layernorm", (self.hidden,), "norm", "norms")
        query = Weight(f"{self.path}.probe", (1, self.hidden), "table", "pooler")
        shifts = (Weight(w.path, w.shape[:1], "bias", "biases") for w in products)
        return (*products, *shifts, norm, norm, query)

    def stages(self, step: Step, share: Share) -> Stages:
        """Keys and values of all tokens; the rest of one a sequence."""
        q, kv, out, up, down = self._products()
        rows, kind, hidden = step.batch, share.activation, self.hidden
        scores = attention(
            batch=step.batch,
            heads=self.heads,
            queries=1,
            keys=step.queries,
            head_dim=hidden // self.heads,
            dtype=kind,
            name="probe attention",
        )
        act = activation(self.act, rows, self.intermediate, kind, "probe activation")
        norm = layernorm(rows, hidden, kind, name="probe norm")
        added = residual(rows, hidden, kind, "probe residual")
        return (
            *share.product("probe q", "probe", rows, (q,), bias=True),
            *share.product("probe kv", "probe", step.tokens, (kv,), bias=True),
            share.stage(scores, "probe"),
            *share.product("probe output", "probe", rows, (out,), bias=True),
            share.stage(norm, "probe"),
            *share.product("probe up", "probe", rows, (up,), bias=True),
            share.stage(act, "probe"),
            *share.product("probe down", "probe", rows, (down,), bias=True),
            share.stage(added, "probe"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
