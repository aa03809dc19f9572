"""A network on a prompt: each cascade evaluated in order, on weights that are drawn by their names.

`validation/data/transformers/logits.jsonl` has what transformers computes for a prompt; its weights
are drawn again by their names, so names and shapes of modules are tested too. What is no cascade is
done by NumPy here: positions' angles, factors that count no operation, a sink in a softmax's sum,
and rows that are sent to experts and back.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.beside import Beside
from hwmodel.einsum.workloads.blocks.block import Block, Step
from hwmodel.einsum.workloads.blocks.ends import Embedding, Head
from hwmodel.einsum.workloads.blocks.gated_delta import GatedDelta
from hwmodel.einsum.workloads.blocks.mamba import Mamba2
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.mla import Mla
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.scale import Scale
from hwmodel.einsum.workloads.blocks.share import Share
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.model import Model
from hwmodel.einsum.workloads.rows import gate_activation, up_multiply
from hwmodel.validation.measure.logits import TOKENS, drawn, prompt

STEP = Step(batch=1, queries=TOKENS, context=TOKENS, decoding=False)
Array = NDArray[np.float64]


class Computed:
    """A model's blocks on the prompt, one layer after the other."""

    def __init__(self, model: Model, config: Mapping[str, Any]) -> None:
        self.config = config
        kinds = ("gemma", "qwen3_next")
        self.gain = 1.0 if config["model_type"].startswith(kinds) else 0.0
        self.network = model.network
        self.precision = model.precision
        self.layer: int | None = None
        self.cascades: dict[str, Cascade] = {}
        self.before: Array = np.zeros(0)
        self.made: Array = np.zeros(0)

    def logits(self) -> Array:
        """Of the last token."""
        for block in self.network.before:
            self.run(block)
        layers = {n: group.blocks for group in self.network.layers for n in group.numbers}
        for self.layer in sorted(layers):
            for block in layers[self.layer]:
                self.run(block)
        self.layer = None
        for block in self.network.after:
            self.run(block)
        return self.made.reshape(-1)

    def run(self, block: Block) -> None:
        """The block on what the one before it has made; residuals on what stood before those."""
        stages = block.stages(STEP, Share(self.precision, layers=(self.layer,)))
        self.cascades = {stage.name: stage.cascade for stage in stages}
        if isinstance(block, Residual):
            (cascade,) = self.cascades.values()
            self.made = evaluate(cascade, {"X": self.made, "Z": self.before})["Y"]
            self.before = self.made
        elif isinstance(block, Beside):
            cascades, read = self.cascades, self.made
            self.run(block.first)
            first = self.made
            self.made = read
            self.run(block.second)
            self.cascades = cascades
            self.made = first + self.made * self.opened(block, read)
        else:
            self.made = self.value(block, self.made)
            if isinstance(block, (Embedding, Scale)):
                self.before = self.made

    def opened(self, block: Beside, x: Array) -> Array | float:
        """Share of the second block's result that a gate lets pass."""
        if block.gate is None:
            return 1.0
        gate = self.product(f"{block.name} gate", x, (block.gate, 1))
        return self.of(f"{block.name} gate sigmoid", X=gate)["Y"]

    def value(self, block: Block, x: Array) -> Array:
        """One block's result."""
        match block:
            case Embedding():
                table = self.weight(block.path, block.vocabulary, block.hidden)
                return self.of("embedding", TABLE=table, TOKEN=prompt().astype(np.float64))["Y"]
            case Scale():
                factor = self.config["hidden_size"] ** 0.5
                return self.of(block.name, X=x)["Y"] * (factor / 0.5)  # the cascade's own is 0.5
            case Norm():
                return self.normed(x[-1:] if block.last else x, block.name, block.path)
            case Attention():
                return self.attention(block, x)
            case Mla():
                return self.latent(block, x)
            case Mlp():
                return self.mlp(block, x)
            case Mixture():
                return self.mixture(block, x)
            case GatedDelta():
                return self.delta(block, x)
            case Mamba2():
                return self.mamba2(block, x)
            case Head():
                path = block.embedding if block.tied else block.path
                weight = self.weight(path, block.vocabulary, block.hidden)
                return self.of("head", A=x, W=weight)["C"]
            case _:
                raise NotImplementedError(type(block).__name__)

    def of(self, name: str, **arrays: Array) -> dict[str, Array]:
        """A stage's cascade on arrays, which take the shapes that it has."""
        cascade = self.cascades[name]
        sizes: Mapping[str, Any] = cascade.sizes()
        ranks = {name: tensor.ranks for name, tensor in cascade.tensors.items()}
        shapes = {name: [int(sizes[rank]) for rank in ranks[name]] for name in arrays}
        return evaluate(cascade, {n: array.reshape(shapes[n]) for n, array in arrays.items()})

    def name(self, path: str) -> str:
        return path.replace("{layer}", str(self.layer))

    def weight(self, path: str, *shape: int) -> Array:
        return drawn(f"{self.name(path)}.weight", *shape)

    def bias(self, path: str, size: int) -> Array:
        return drawn(f"{self.name(path)}.bias", size)

    def normed(self, x: Array, name: str, path: str) -> Array:
        return self.of(name, X=x, GAIN=self.weight(path, x.shape[-1]) + self.gain)["Y"]

    def product(self, name: str, x: Array, *parts: tuple[str, int], bias: bool = False) -> Array:
        """A product that fuses modules, `parts` being their names and outputs."""
        weights = [self.weight(path, outputs, x.shape[-1]) for path, outputs in parts]
        more: dict[str, Array] = {}
        if bias:
            more["BIAS"] = np.concatenate([self.bias(path, outputs) for path, outputs in parts])
        return self.times(name, x, np.concatenate(weights), **more)

    def times(self, name: str, x: Array, weight: Array, **more: Array) -> Array:
        """A product with a matrix."""
        return self.of(name, A=x, W=weight, **more)["C"]

    def turned(self, side: str, x: Array, theta: float) -> Array:
        """[tokens, heads, dim] by position, as the seven kernels of a rotary embedding.

        Elements beyond those that the kernels turn stay as they are.
        """
        half = int(self.cascades[f"rotary {side} multiply"].ranks["d"].size)  # pyright: ignore[reportArgumentType]
        x, rest = x[..., : 2 * half], x[..., 2 * half :]
        rate: Array = np.power(theta, -np.arange(half, dtype=np.float64) / half)
        angle = np.arange(TOKENS, dtype=np.float64)[:, None] * rate
        low, high = x[..., :half], x[..., half:]

        def times(first: Array, table: Array) -> Array:
            both = np.stack((first, first), axis=2)  # the kernel reads the half that stands first
            return self.of(f"rotary {side} multiply", X=both, TABLE=table)["Y"]

        cos, sin = np.cos(angle), np.sin(angle)
        less = {"X": times(low, cos), "Z": times(high, sin)}
        more = {"X": times(high, cos), "Z": times(low, sin)}
        ends = (
            self.of(f"rotary {side} subtract", **less)["Y"],
            self.of(f"rotary {side} add", **more)["Y"],
        )
        made = self.of(f"rotary {side} concatenate", X=np.stack(ends))["Y"]
        turned = made.reshape(x.shape[1], TOKENS, x.shape[-1]).transpose(1, 0, 2)
        return np.concatenate((turned, rest), -1)

    def theta(self, window: int | None) -> float:
        tables = self.config["rope_parameters"]
        kind = "full_attention" if window is None else "sliding_attention"
        return tables.get(kind, tables)["rope_theta"]

    def attention(self, block: Attention, x: Array) -> Array:
        dim, counts = block.head_dim, (block.heads, block.kv_heads, block.kv_heads)
        paths = [f"{block.path}.{name}" for name in block.names]
        parts = [(path, n * dim) for path, n in zip(paths, counts, strict=False)]
        opened = 1.0
        if block.gate is None:
            joint = self.product("qkv", x, *parts, bias=block.qkv_bias)
        else:  # Qwen3-Next: each head's queries, then their gate
            both = self.weight(paths[0], 2 * block.heads * dim, block.hidden)
            query, gate = (
                part.reshape(-1, block.hidden)
                for part in np.split(both.reshape(block.heads, 2, dim, -1), 2, axis=1)
            )
            keys = [self.weight(path, size, block.hidden) for path, size in parts[1:]]
            joint = self.times("qkv", x, np.concatenate((query, *keys)))
            columns = self.times("attention gate", x, gate)
            opened = self.of("attention gate sigmoid", X=columns)["Y"]
        joint = joint.reshape(TOKENS, -1, dim)
        q, k, v = np.split(joint, np.cumsum(counts)[:2], axis=1)
        if block.qk_norm:
            q, k = (
                self.normed(part.reshape(-1, dim), f"{side} norm", f"{block.path}.{side}_norm")
                .reshape(part.shape)
                for side, part in (("q", q), ("k", k))
            )  # fmt: skip
        q, k = (self.turned(s, part, self.theta(block.window)) for s, part in (("q", q), ("k", k)))
        q = q / self.config.get("query_pre_attn_scalar", dim) ** 0.5
        name = "attention" if block.window is None else f"attention, window {block.window}"
        by_head = (part.transpose(1, 0, 2) for part in (q, k, v))
        given = dict(zip("QKV", by_head, strict=True))
        mixed = self.of(name, **given)["AV"].reshape(block.heads, TOKENS, dim)
        if block.sinks:
            mixed = mixed * self.kept(block, given["Q"], given["K"])[..., None]
        flat = mixed.transpose(1, 0, 2).reshape(TOKENS, -1) * opened
        return self.product(
            *("attention output", flat, (paths[3], block.hidden)), bias=block.output_bias
        )

    def kept(self, block: Attention, q: Array, k: Array) -> Array:
        """Share of the softmax's sum that a sink leaves to the keys."""
        scores = np.einsum("hpe,hme->hpm", q, np.repeat(k, block.heads // block.kv_heads, axis=0))
        distance = np.arange(TOKENS)[:, None] - np.arange(TOKENS)
        hidden = (distance < 0) | (distance >= (block.window or TOKENS))
        total = np.where(hidden, 0.0, np.exp(scores)).sum(-1)
        sinks = drawn(f"{self.name(block.path)}.sinks", block.heads)
        return total / (total + np.exp(sinks)[:, None])

    def latent(self, block: Mla, x: Array) -> Array:
        """Latent attention in its expanded form, whose rotated elements stand in pairs."""
        heads, plain, turned, value = block.heads, block.plain, block.turned, block.value
        rank, query_rank = block.rank, block.query_rank or 0
        down = [(f"{block.path}.q_a_proj", query_rank)]
        down += [(f"{block.path}.kv_a_proj_with_mqa", rank + turned)]
        made = self.product("latents", x, *down)
        query = self.normed(made[:, :query_rank], "q latent norm", f"{block.path}.q_a_layernorm")
        kept = made[:, query_rank : query_rank + rank]
        kept = self.normed(kept, "latent norm", f"{block.path}.kv_a_layernorm")
        q = self.product("q up", query, (f"{block.path}.q_b_proj", heads * (plain + turned)))
        q = q.reshape(TOKENS, heads, plain + turned)

        def paired(part: Array) -> Array:
            return np.concatenate((part[..., 0::2], part[..., 1::2]), -1)

        theta = self.theta(None)
        turned_q = self.turned("q", paired(q[..., plain:]), theta)
        position = self.turned("k", paired(made[:, None, query_rank + rank :]), theta)
        outputs = heads * (plain + value)
        kv = self.product("kv up", kept, (f"{block.path}.kv_b_proj", outputs))
        kv = kv.reshape(TOKENS, heads, plain + value)
        keys = np.concatenate((kv[..., :plain], np.repeat(position, heads, axis=1)), -1)
        queries = np.concatenate((q[..., :plain], turned_q), -1) / (plain + turned) ** 0.5
        given = {"Q": queries, "K": keys, "V": kv[..., plain:]}
        mixed = self.of("attention", **{n: a.transpose(1, 0, 2) for n, a in given.items()})["AV"]
        flat = mixed.reshape(heads, TOKENS, value).transpose(1, 0, 2).reshape(TOKENS, -1)
        return self.product("attention output", flat, (f"{block.path}.o_proj", block.hidden))

    def convolved(self, x: Array, path: str) -> Array:
        """A causal filter of four taps; a prompt has zeros before it."""
        before = np.concatenate((np.zeros((3, x.shape[1])), x))
        filters = self.weight(path, x.shape[1], 1, 4)
        return self.of("causal conv", X=before, F=filters)["Y"].reshape(TOKENS, -1)

    def delta(self, block: GatedDelta, x: Array) -> Array:
        """A gated delta network; in Qwen3-Next modules hold each key head's rows side by side."""
        keys, key, value = block.key_heads, block.key_dim, block.value_dim
        each = block.heads // keys * value
        sides = np.cumsum((key, key, each))
        whole = self.weight(f"{block.path}.in_proj_qkvz", keys * (2 * key + 2 * each), block.hidden)
        runs = np.split(whole.reshape(keys, -1, block.hidden), sides, axis=1)
        rows = np.concatenate([run.reshape(-1, block.hidden) for run in runs])
        made = self.times("mixer input", x, rows)
        mixed, z = np.split(made, [2 * keys * key + block.heads * value], axis=1)
        q, k, v = np.split(
            self.convolved(mixed, f"{block.path}.conv1d"), np.cumsum((keys * key,) * 2), axis=1
        )
        pairs = self.weight(f"{block.path}.in_proj_ba", 2 * block.heads, block.hidden)
        pairs = pairs.reshape(keys, 2, -1, block.hidden).swapaxes(0, 1).reshape(-1, block.hidden)
        steps, decays = np.split(self.times("steps and decays", x, pairs), 2, axis=1)
        shift, slope = (self.vector(block.path, n, block.heads) for n in ("dt_bias", "A_log"))
        decay = -np.exp(slope) * self.of("decays softplus", X=decays + shift)["Y"]
        gain = np.full(key, key**-0.5)  # a norm of length one
        q, k = (
            self.of(f"{name} norm", X=part, GAIN=gain)["Y"] for name, part in (("q", q), ("k", k))
        )
        beta = self.of("steps sigmoid", X=steps)["Y"]
        given = {"Q": q / key**0.5, "K": k, "V": v, "G": decay, "BETA": beta}
        found = self.of("delta recurrence", **given)["Y"]
        norm = self.weight(f"{block.path}.norm", value)
        kept = self.of("mixer output norm", X=found, GAIN=norm)["Y"].reshape(TOKENS, -1)
        return self.closed(block.path, block.hidden, kept, z)

    def closed(self, path: str, hidden: int, y: Array, z: Array) -> Array:
        """What a gate lets pass, and the product back."""
        return self.product("mixer output", self.gated(y, z), (f"{path}.out_proj", hidden))

    def gated(self, y: Array, z: Array) -> Array:
        opened = self.of("mixer gate", X=z)["Y"]
        return self.of("mixer gate multiply", X=y, Z=opened)["Y"]

    def vector(self, path: str, name: str, size: int) -> Array:
        return drawn(f"{self.name(path)}.{name}", size)

    def mamba2(self, block: Mamba2, x: Array) -> Array:
        """A state space with heads; the skip is no cascade."""
        inner, keys = block.inner, block.groups * block.state
        path, sizes = block.path, (inner, inner + 2 * keys)
        made = self.product("mixer input", x, (f"{path}.in_proj", sum(sizes) + block.heads))
        z, mixed, steps = np.split(made, np.cumsum(sizes), axis=1)
        v, k, q = np.split(self.convolved(mixed, f"{path}.conv1d"), (inner, inner + keys), axis=1)
        shift, slope, skip = (self.vector(path, n, block.heads) for n in ("dt_bias", "A_log", "D"))
        step = self.of("steps softplus", X=steps + shift)["Y"]
        given = {"Q": q, "K": k, "V": v, "G": step * -np.exp(slope), "STEP": step}
        found = self.of("linear recurrence", **given)["Y"].reshape(TOKENS, -1)
        found = found + v * np.repeat(skip, block.head_dim)
        ones = np.ones(inner // block.groups)  # a gain for all groups is no cascade's
        kept = self.of("mixer output norm", X=self.gated(found, z), GAIN=ones)["Y"]
        kept = kept.reshape(TOKENS, -1) * self.weight(f"{path}.norm", inner)
        return self.product("mixer output", kept, (f"{path}.out_proj", block.hidden))

    def mlp(self, block: Mlp, x: Array) -> Array:
        paths = [f"{block.path}.{name}" for name in block.names]
        parts = [(path, block.intermediate) for path in paths[:2]]
        both = self.product("gate-up", x, *parts, bias=block.bias)
        gate = next(n for n in self.cascades if n in ("silu", "gelu_tanh"))
        opened = self.of(gate, H=both)["Y"]
        inner = self.of("multiply", X=opened, H=both)["Y"]
        return self.product("down", inner, (paths[2], block.hidden), bias=block.bias)

    def mixture(self, block: Mixture, x: Array) -> Array:
        """Routed by the router's cascades; each expert is the cascades of its own rows."""
        path = f"{block.path}.{block.router}"
        given = {"A": x, "W": self.weight(path, block.experts, block.hidden)}
        if block.router_bias:
            given["BIAS"] = self.bias(path, block.experts)
        weights, chosen = self.routed(block, self.of("router", **given)["C"])
        total = np.zeros_like(x)
        for expert in range(block.experts):
            rows, place = np.nonzero(chosen == expert)
            if rows.size:
                total[rows] += weights[rows, place, None] * self.expert(block, expert, x[rows])
        return total

    def routed(self, block: Mixture, logits: Array) -> tuple[Array, NDArray[np.int64]]:
        """Weights and numbers of the experts that each token takes."""
        scoring = block.scoring
        kind = scoring.kind if scoring else "softmax"
        if kind == "chosen softmax":
            best = self.of("router top-k", X=logits)
            return self.of("router softmax", X=best["Y"])["Y"], best["CHOSEN"].astype(np.int64)
        scores = self.of(f"router {kind}", X=logits)["Y"]
        compared = scores
        if scoring is not None and scoring.corrected:
            path = f"{self.name(block.path)}.{block.router}.e_score_correction_bias"
            compared = self.of("router correction", X=scores, Z=drawn(path, block.experts))["Y"]
        if scoring is not None and scoring.groups > 1:
            best = self.of("groups' best", X=compared)["Y"]
            sums = self.of("groups sum", X=best)["Y"].reshape(TOKENS, -1)
            taken = self.of("groups top-k", X=sums)["CHOSEN"].astype(np.int64)
            kept = np.zeros_like(sums)
            np.put_along_axis(kept, taken, 1.0, axis=1)
            compared = self.of("groups mask", X=compared, Z=kept)["Y"].reshape(TOKENS, -1)
        chosen = self.of("router top-k", X=compared)["CHOSEN"].astype(np.int64)
        weights = np.take_along_axis(scores, chosen, axis=1)
        if "weights sum" in self.cascades:
            sums = self.of("weights sum", X=weights)["Y"]
            weights = self.of("weights divide", X=weights, Z=sums)["Y"]
        factor = self.config.get("routed_scaling_factor", 2.5 if scoring else 1.0)
        return weights * factor, chosen

    def expert(self, block: Mixture, expert: int, x: Array) -> Array:
        """One expert's rows; transformers holds the experts of a layer in two tensors."""
        first, second = self.tensors(block)
        count, inner = len(x), block.intermediate
        rows = {"A": x, "W": first[0][expert]}
        both = evaluate(gemm(count, 2 * inner, block.hidden, dtype="fp32"), rows)["C"]
        both = (both + first[1][expert]).reshape(count, 2, inner)
        opened = evaluate(gate_activation(block.act, count, inner, "fp32"), {"H": both})["Y"]
        made = evaluate(up_multiply(count, inner, "fp32", act=block.act), {"X": opened, "H": both})
        rows = {"A": made["Y"], "W": second[0][expert]}
        return (
            evaluate(gemm(count, block.hidden, inner, dtype="fp32"), rows)["C"] + second[1][expert]
        )

    def tensors(self, block: Mixture) -> list[tuple[Array, Array]]:
        """Weights [experts, outputs, inputs] and biases of both products."""
        path = f"{self.name(block.path)}.experts"
        number, inner, hidden = block.experts, block.intermediate, block.hidden
        sizes = (("gate_up_proj", 2 * inner, hidden), ("down_proj", hidden, inner))
        if not block.stacked:
            made = [(drawn(f"{path}.{n}", number, out, into), out) for n, out, into in sizes]
            return [(weight, np.zeros((number, out))) for weight, out in made]
        # gpt-oss: inputs first, gate and up interleaved
        turned = [drawn(f"{path}.{n}", number, into, out).swapaxes(1, 2) for n, out, into in sizes]
        biases = [drawn(f"{path}.{n}_bias", number, out) for n, out, _ in sizes]
        order = np.concatenate((np.arange(0, 2 * inner, 2), np.arange(1, 2 * inner, 2)))
        return [(turned[0][:, order], biases[0][:, order]), (turned[1], biases[1])]
