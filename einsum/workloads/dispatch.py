"""Routing around the experts, as the plain torch kernels that do it.

Scores to experts: softmax in fp32, top-k, weights normalised where the model does so, a sort of the
chosen experts, a search for where each expert's rows end, a gather of the rows; after the experts
the weights' product and an addition into the tokens' rows. Each is a kernel of its own, and all but
the row moves are small: their time is their launch.

Positions and experts are int64, as torch has them (ends int32, as `torch._grouped_mm` takes them).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.workload import formats, instance, once, whole
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.checked import checked
from hwmodel.quantity.units import Amount

# The j-th largest is the largest below the one before it (equal scores count as one). GPUs read it
# as `ranked` (machines/gpu/largest.py).
_TOP_K = """
TOP[r, k+1] = max(c) select(less(X[r, c], TOP[r, k]), X[r, c], -inf) ; TOP[r, 0] = inf
Y[r, k] = copy(TOP[r, k+1])
CHOSEN[r, k] = argmax(c) equal(X[r, c], TOP[r, k+1])
"""
_SOFTMAX = """
PEAK[r] = max(c) X[r, c]
NUM[r, c] = exp(X[r, c] - PEAK[r])
SUM[r] = sum(c) NUM[r, c]
Y[r, c] = NUM[r, c] / SUM[r]
"""


@once
@checked
def top_k(
    rows: Amount, cols: Amount, top_k: Amount, dtype: str = "fp32", name: str = "top-k"
) -> Cascade:
    """The `top_k` largest of each row, and where they stand (`torch.topk`).

    On GPUs a selection as torch has it; a machine without one walks a row `top_k` times.
    """
    arguments = {**locals()}
    sizes = whole("top_k", rows=rows, cols=cols, top_k=top_k)
    kind = formats("top_k", dtype=dtype)["dtype"]
    return instance(
        "top_k",
        _CHOICES,
        _TOP_K,
        sizes={"r": sizes["rows"], "c": sizes["cols"], "k": sizes["top_k"]},
        dtypes={"X": kind, "TOP": kind, "Y": kind, "CHOSEN": "int64"},
        arguments=arguments,
        name=name,
    )


_CHOICES = top_k
"""The function, by a name that none of its arguments has."""


_SCORES = {
    "softmax": _SOFTMAX,
    "sigmoid": "Y[r, c] = sigmoid(X[r, c])",
    "sqrtsoftplus": "Y[r, c] = sqrt(log(exp(X[r, c]) + 1))",
}


@dataclass(frozen=True)
class Scoring:
    """How the logits of a router become weights of the experts that a token takes.

    Scores are the softmax of all logits, that of the chosen ones (`chosen softmax`), or of each a
    sigmoid or the root of log(1 + exp). A `corrected` choice adds a bias to the scores that are
    compared. Of `groups` of experts, compared by the sum of their two best, a token takes from
    `taken` alone (DeepSeek-V3, arXiv 2412.19437, section 2.1.2). Weights may be `normalised` to sum
    to one, and `scaled`.
    """

    kind: Literal["softmax", "chosen softmax", "sigmoid", "sqrtsoftplus"] = "softmax"
    normalised: bool = True
    corrected: bool = False
    groups: int = 1
    taken: int = 1
    scaled: bool = False

    def kernels(self, tokens: Amount, experts: Amount, picks: Amount, dtype: str) -> list[Cascade]:
        """From logits [tokens, experts] to the chosen experts and their weights, in fp32."""
        every: dict[str, Amount] = {"r": tokens, "c": experts}
        chosen: dict[str, Amount] = {"r": tokens, "k": picks}
        best = top_k(tokens, experts, picks, name="router top-k")
        if self.kind == "chosen softmax":
            made = [best, _kernel("router softmax", _SOFTMAX, {"r": tokens, "c": picks}, "fp32")]
        else:
            text = _SCORES[self.kind]
            made = [_kernel(f"router {self.kind}", text, every, "fp32", X=dtype)]
            if self.corrected:
                text = "tensor Z[c]: weight\nY[r, c] = X[r, c] + Z[c]"
                made.append(_kernel("router correction", text, every, "fp32"))
            made += [*self._limited(tokens, experts), best]
        if self.corrected:
            text = "Y[n] = gather(X[v], AT[n])"
            sizes: dict[str, Amount] = {"n": tokens * picks, "v": tokens * experts}
            made.append(_kernel("scores gather", text, sizes, "fp32", AT="int64"))
        if self.normalised and self.kind != "chosen softmax":
            made += [
                _kernel("weights sum", "Y[r] = sum(k) X[r, k]", chosen, "fp32"),
                _kernel("weights divide", "Y[r, k] = X[r, k] / Z[r]", chosen, "fp32"),
            ]
        if self.scaled:
            made.append(_kernel("weights scale", "Y[r, k] = X[r, k] * Z", chosen, "fp32"))
        return made

    def _limited(self, tokens: Amount, experts: Amount) -> list[Cascade]:
        """Scores of experts in groups that are not taken, put aside."""
        if self.groups == 1:
            return []
        each = experts // self.groups
        grouped: dict[str, Amount] = {"r": tokens, "g": self.groups, "c": each}
        sums: dict[str, Amount] = {"r": tokens * self.groups, "k": 2}
        mask = "Y[r, g, c] = select(Z[r, g], X[r, g, c], 0)"
        return [
            top_k(tokens * self.groups, each, 2, name="groups' best"),
            _kernel("groups sum", "Y[r] = sum(k) X[r, k]", sums, "fp32"),
            top_k(tokens, self.groups, self.taken, name="groups top-k"),
            _kernel("groups mask", mask, grouped, "fp32"),
        ]


SOFTMAX = Scoring()
"""The softmax of all logits; weights of the chosen sum to one."""


@once
def router_kernels(
    tokens: Amount,
    experts: Amount,
    picks: Amount,
    scoring: Scoring,
    dtype: str = "bf16",
    times: Amount = 1,
) -> tuple[Stage, ...]:
    """From router logits [tokens, experts] to weights, the rows' order and each expert's end."""
    n: dict[str, Amount] = {"n": tokens * picks}
    search = "Y[x] = sum(l) less_equal(gather(X[n], AT[x, l]), EVERY[x])"
    halvings = n | {"x": experts, "l": _halvings(n["n"])}
    kernels = [
        *scoring.kernels(tokens, experts, picks, dtype),
        _kernel("weights cast", "Y[n] = cast(X[n])", n, "fp32", Y=dtype),
        # A radix sort moves keys and positions; it compares nothing.
        _kernel("argsort", "Y[n] = copy(X[n])", n, "int64"),
        _kernel("experts range", "Y[x] = 0", {"x": experts}, "int64"),
        _kernel("experts gather", "Y[n] = gather(X[v], AT[n])", n | {"v": n["n"]}, "int64"),
        _kernel("experts search", search, halvings, "int64", Y="int32"),
        _kernel("rows divide", "Y[n] = X[n] / Z", n, "int64"),
    ]
    return tuple(Stage(kernel, times) for kernel in kernels)


@once
@checked
def gather_rows(
    rows: Amount, table: Amount, cols: Amount, dtype: str = "bf16", name: str = "gather"
) -> Cascade:
    """`rows` rows of a table [table, cols], by int64 position."""
    arguments = {**locals()}
    sizes = whole("gather", rows=rows, table=table, cols=cols)
    kind = formats("gather", dtype=dtype)["dtype"]
    return instance(
        "gather",
        gather_rows,
        "Y[n, d] = gather(X[t, d], AT[n])",
        sizes={"n": sizes["rows"], "t": sizes["table"], "d": sizes["cols"]},
        dtypes={"X": kind, "Y": kind, "AT": "int64"},
        arguments=arguments,
        name=name,
    )


@once
def combine_kernels(
    tokens: Amount,
    picks: Amount,
    hidden: Amount,
    dtype: str = "bf16",
    times: Amount = 1,
    ways: int = 1,
) -> tuple[Stage, ...]:
    """Experts' rows [tokens * picks, hidden], weighted and added into zeroed tokens' rows.

    `index_add` finds its rows by position: it reads what it adds to, and adds by atomics on a GPU.
    Of `ways` devices each weighs and adds its part of the rows, to all tokens.
    """
    n: dict[str, Amount] = {"n": ceil_div(tokens * picks, ways)}
    states = {"t": tokens, "d": hidden}
    gather = "Y[n] = gather(X[v], AT[n])"
    added = "ADDED[t, d] = sum(k) X[t, k, d]\nY[t, d] = Z[t, d] + ADDED[t, d]"
    kernels = (
        _kernel("weights gather", gather, n | {"v": n["n"]}, dtype, AT="int64"),
        _kernel("weights multiply", "Y[n, d] = X[n, d] * Z[n]", n | {"d": hidden}, dtype),
        _kernel("tokens zero", "Y[t, d] = 0", states, dtype),
        _kernel("index_add", added, states | {"k": ceil_div(picks, ways)}, dtype, ADDED="fp32"),
    )
    return tuple(Stage(kernel, times) for kernel in kernels)


def _kernel(name: str, text: str, sizes: dict[str, Amount], dtype: str, **others: str) -> Cascade:
    """A kernel whose tensors are all `dtype` but for the `others`."""
    return parse(text, sizes=sizes, dtypes={"*": dtype, **others}, name=name)


def _halvings(rows: Amount) -> Amount:
    """Steps of a binary search among `rows` places."""
    steps = np.ceil(np.log2(np.asarray(rows, dtype=np.float64) + 1.0))
    return steps if np.ndim(steps) else int(steps)
