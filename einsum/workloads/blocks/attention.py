"""Attention of a decoder: heads in groups that share keys and values, with what models vary.

Fused q, k and v product; norms of q and of k by head where the model has them; rotary of q and of
k; two cache writes; attention, where a sliding window lets a token see its last keys only; output
product. Between devices query heads are divided, and key heads until one is left, which is then
repeated (Shoeybi et al., arXiv 1909.08053).
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.contexts import Widths, attended
from hwmodel.einsum.workloads.blocks.norm import WEIGHTS, Kind
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, copy, layernorm, multiply, rmsnorm
from hwmodel.einsum.workloads.transformer import kv_write, rotary
from hwmodel.quantity.arithmetic import ceil_div, least
from hwmodel.quantity.units import Amount
from hwmodel.quantity.units import Share as Fraction


@dataclass(frozen=True)
class HeadNorm:
    """How q and k are normalised: each head alone, or all heads of a token together (`whole`).

    `gains`: one for each element of a head, which all heads share; one for each head's elements
    (of whole norms they are the same); or none.
    """

    whole: bool = False
    gains: Literal["shared", "each", "none"] = "shared"
    kind: Kind = "rms"
    names: tuple[str, str] = ("q_norm", "k_norm")


@dataclass(frozen=True)
class Attention:
    """Sizes of one layer's attention; `window`: keys that a token sees, itself included.

    `names` are the modules of q, k, v and the output below `path`; fused ones have one name.
    Biases of q, k and v may leave out k's (`key_bias`). `head_norm` says how q and k are
    normalised, if `qk_norm`; `rotated` how many elements of a head are turned by rotary embedding
    (None: all); `clipped` that q, k and v are clipped. Biases by distance (ALiBi) and `sinks`, a
    learned logit of each head in the softmax's sum, are added inside of the attention kernel.

    Heads of values have `value_dim` elements (None: as many as keys'). Without `values` keys stand
    for them, as projected; `value_norm` normalises them without weights. A layer that has
    `borrowed` the keys and values of an earlier one has no modules for them, and caches none. What
    heads have found passes an `output_norm`, or is weighed by the sigmoid of a product with the
    module `gate`, element by element or, of `gate_heads`, head by head. An encoder's is not
    `causal`, and nothing of it is `cached`; its tokens may see each other in windows that stand
    `apart`, of so many tokens each (the last is counted as a whole one). What it makes is as wide
    as what it reads, or of `makes` columns.
    """

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    window: int | None = None
    qkv_bias: bool = False
    key_bias: bool = True
    output_bias: bool = False
    qk_norm: bool = False
    head_norm: HeadNorm = HeadNorm()
    rotated: int | None = None
    clipped: bool = False
    sinks: bool = False
    value_dim: int | None = None
    values: bool = True
    value_norm: bool = False
    borrowed: bool = False
    output_norm: str | None = None
    causal: bool = True
    cached: bool = True
    apart: int | None = None
    makes: int | None = None
    gate: str | None = None
    gate_heads: bool = False
    path: str = "model.layers.{layer}.self_attn"
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "o_proj")

    over_contexts: ClassVar[bool] = True
    """Whether devices may divide the tokens of a sequence."""

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return f"{self.heads} for queries, {self.kv_heads} for keys and values"

    @property
    def query_split(self) -> Split:
        """Query heads by device."""
        return Split("num_attention_heads", self.heads)

    @property
    def key_split(self) -> Split:
        """Key heads by device."""
        return Split("num_key_value_heads", self.kv_heads, repeated=True)

    @property
    def value_size(self) -> int:
        """Elements of a head of values."""
        return self.head_dim if self.value_dim is None else self.value_dim

    def products(self) -> tuple[Weight, ...]:
        """Weights of the q, k and v products, those that it has."""
        rows = (
            (self.heads * self.head_dim, self.query_split),
            (self.kv_heads * self.head_dim, self.key_split),
            (self.kv_heads * self.value_size, self.key_split),
        )
        held = 1 if self.borrowed else 2 + self.values
        return tuple(
            Weight(f"{self.path}.{name}", (size, self.hidden), "linear", "attention", split)
            for name, (size, split) in zip(self.names, rows[:held], strict=False)
        )

    @property
    def made(self) -> int:
        """Width of what it makes."""
        return self.hidden if self.makes is None else self.makes

    def output(self) -> Weight:
        """Weight of the output product."""
        return Weight(
            *(f"{self.path}.{self.names[3]}", (self.made, self.heads * self.value_size)),
            *("linear", "attention", self.query_split, 1),
        )

    def _opening(self) -> tuple[Weight, ...]:
        """Weight of the gate's product."""
        if self.gate is None:
            return ()
        size = self.heads if self.gate_heads else self.heads * self.value_size
        path = f"{self.path}.{self.gate}"
        return (Weight(path, (size, self.hidden), "linear", "attention", self.query_split),)

    def weights(self) -> tuple[Weight, ...]:
        """Products, biases and norms."""
        products = self.products() if self.qkv_bias else ()
        keyless = (*products[:1], *products[2:])
        biased = products if self.key_bias else keyless
        made = [
            *(*self.products(), self.output(), *self._opening()),
            *(Weight(w.path, w.shape[:1], "bias", "biases", w.split) for w in biased),
        ]
        if self.output_bias:
            made.append(Weight(self.output().path, (self.made,), "bias", "biases"))
        if self.qk_norm:
            made += self._gains()
        if self.output_norm is not None:
            path, size = f"{self.path}.{self.output_norm}", self.heads * self.value_size
            made.append(Weight(path, (size,), "norm", "norms", self.query_split))
        if self.sinks:
            path, split = f"{self.path}.sinks", self.query_split
            made.append(Weight(path, (self.heads,), "other", "attention", split))
        return tuple(made)

    def _gains(self) -> list[Weight]:
        """Weights of the norms of q and k."""
        how, made = self.head_norm, list[Weight]()
        splits = (self.query_split,) if self.borrowed else (self.query_split, self.key_split)
        for name, split in zip(how.names, splits, strict=False):
            each = how.whole or how.gains == "each"
            size = self.head_dim * (split.pieces if each else 1)
            gain = Weight(f"{self.path}.{name}", (size,), "norm", "norms", split if each else None)
            made += [gain] * (0 if how.gains == "none" else WEIGHTS.get(how.kind, 0))
        return made

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states, on one device's heads."""
        heads, kv_heads = share.of(self.query_split), share.of(self.key_split)
        return (
            *self.read(step, share),
            *self._written(step, share, kv_heads),
            *step.each(lambda one: self._attends(one, share, heads, kv_heads)),
            *self._finished(step, share, heads),
            *self.left(step, share),
        )

    def read(self, step: Step, share: Share) -> Stages:
        """From hidden states to q, k and v, prepared and turned."""
        heads, kv_heads = share.of(self.query_split), share.of(self.key_split)
        products = self.products()
        keys = () if self.borrowed else self._turned(step, share, kv_heads, "rotary k")
        return (
            *share.product("qkv", "attention.qkv", step.tokens, products, bias=self.qkv_bias),
            *self._prepared(step, share, heads, kv_heads),
            *self._turned(step, share, heads, "rotary q"),
            *keys,
        )

    def left(self, step: Step, share: Share) -> Stages:
        """From what heads have found to hidden states."""
        out = share.product(
            *("attention output", "attention.output", step.tokens, (self.output(),)),
            bias=self.output_bias,
        )
        return share.reduced(out, step.tokens, self.made)

    def _prepared(self, step: Step, share: Share, heads: int, kv_heads: int) -> Stages:
        """What is done to q, k and v before rotary embedding."""
        tokens, kind, made = step.tokens, share.activation, list[Cascade]()
        if self.clipped:
            columns = (heads + kv_heads) * self.head_dim + kv_heads * self.value_size
            made.append(copy(tokens, columns, kind, "qkv clip"))
        if self.qk_norm:
            made += self._norms(tokens, (heads, kv_heads), kind)[: 1 if self.borrowed else 2]
        if self.value_norm and not self.borrowed:
            made.append(rmsnorm(tokens * kv_heads, self.value_size, kind, name="v norm"))
        return tuple(share.stage(each, f"attention.{each.name}") for each in made)

    def _written(self, step: Step, share: Share, kv_heads: int) -> Stages:
        """Keys and values, copied into the cache."""
        if self.borrowed or not self.cached:
            return ()
        sizes = (step.batch, step.queries, kv_heads)
        kinds = (share.activation, share.precision.kv)
        writes = [
            kv_write(*sizes, dim, *kinds, name=name)
            for dim, name in ((self.head_dim, "kv write"), (self.value_size, "v write"))
        ]
        role = "attention.kv write"
        if self.value_size == self.head_dim:
            return (share.stage(writes[0], role, runs=2),)
        return tuple(share.stage(write, role) for write in writes)

    def _finished(self, step: Step, share: Share, heads: int) -> Stages:
        """What is done to heads' results before the output product."""
        tokens, kind, columns = step.tokens, share.activation, heads * self.value_size
        made: Stages = ()
        if self.gate is not None:
            gates = heads if self.gate_heads else columns
            opened = (
                activation("sigmoid", tokens, gates, kind, "attention gate sigmoid"),
                multiply(tokens, columns, kind, "attention gate multiply"),
            )
            made = (
                *share.product("attention gate", "attention.gate", tokens, self._opening()),
                *(share.stage(each, f"attention.{each.name}") for each in opened),
            )
        if self.output_norm is None:
            return made
        norm = rmsnorm(tokens, columns, kind, name="attention sub norm")
        return (*made, share.stage(norm, "attention.sub norm"))

    def _norms(self, tokens: Amount, heads: tuple[int, int], kind: str) -> list[Cascade]:
        """Norms of q and of k."""
        function = rmsnorm if self.head_norm.kind == "rms" else layernorm
        names, dim = ("q norm", "k norm"), self.head_dim
        sizes = [(1, n * dim) if self.head_norm.whole else (n, dim) for n in heads]
        return [
            function(tokens * rows, size, kind, name=name)
            for name, (rows, size) in zip(names, sizes, strict=True)
        ]

    def _turned(self, step: Step, share: Share, heads: int, name: str) -> Stages:
        """Rotary embedding of so many heads; elements that are not turned are copied beside."""
        turned = self.head_dim if self.rotated is None else self.rotated
        if not turned:
            return ()
        kernels = rotary(
            *(step.batch, step.queries, heads, turned, share.activation, name, share.times)
        )
        left = self.head_dim - turned
        rest = copy(step.tokens * heads, left, share.activation, f"{name} rest") if left else None
        beside = () if rest is None else (share.stage(rest, f"attention.{name} rest"),)
        return (*share.ours(kernels, "attention"), *beside)

    def _attends(self, step: Step, share: Share, heads: int, kv_heads: int) -> Stages:
        """Attention of sequences that are alike, and what devices that divide tokens exchange."""

        def kernel(step: Step, heads: int, kv_heads: int, causal: bool) -> Stages:
            made = self.scores(step, share, heads, kv_heads, causal=causal)
            return (share.stage(made, "attention.scores"),)

        if step.decoding and share.ways.cp > 1:
            step = replace(step, context=step.seen(self.window))
        pair = self.head_dim + self.value_size
        widths = Widths(heads, kv_heads, pair, self.head_dim, self.value_size)
        return attended(step, share, widths, kernel, self.causal and not step.decoding)

    def scores(
        self,
        step: Step,
        share: Share,
        heads: int,
        kv_heads: int,
        density: Fraction = 1.0,
        name: str | None = None,
        causal: bool | None = None,
    ) -> Cascade:
        """Attention itself, of so many heads, to a share of the pairs that its mask leaves.

        The mask is that of the step, unless it is said whether there is one (`causal`).
        """
        usual = self.causal and not step.decoding
        masked = usual if causal is None else causal
        if self.apart is not None:
            size = least((step.queries, self.apart))
            step = replace(
                step, batch=step.batch * ceil_div(step.queries, size), queries=size, context=size
            )
        return attention(
            batch=step.batch,
            heads=heads,
            kv_heads=kv_heads,
            queries=step.queries,
            keys=step.seen(self.window),
            head_dim=self.head_dim,
            value_dim=self.value_dim,
            causal=masked,
            window=None if step.decoding or masked < self.causal else self.window,
            density=density,
            dtype=share.activation,
            kv_dtype=share.precision.kv,
            out_dtype=share.activation,
            name=name or self._named,
        )

    @property
    def _named(self) -> str:
        """The name of the kernel, with what a token sees."""
        if self.apart is not None:
            return f"attention, windows of {self.apart}"
        return "attention" if self.window is None else f"attention, window {self.window}"

    def cache(self) -> Cache | None:
        """Keys and values."""
        elements = self.kv_heads * (self.head_dim + self.value_size)
        return (
            None
            if self.borrowed or not self.cached
            else Cache(elements, self.key_split, self.window)
        )
