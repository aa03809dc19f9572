"""Tables of what an engine's kernels take, by what they depend on, for steps of any sizes.

A step's kernels fall in four groups by what they depend on: all tokens of the step (products,
norms, collectives), its sequences (head, sampling), what decodes (sequences and their contexts),
its prompts (chunks, their tokens, what is cached of them). Each group is predicted once over its
own coordinates. Which group a kernel is of is seen, not said: steps that differ in one thing each
(`probes`) tell. Steps of decode alone, which run in graphs padded to captured sizes, have a table
of their own. Contexts and chunks lie on grids.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.einsum.workloads.model import Model
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict, stepped
from hwmodel.machines.gpu.engines.engine import Engine, Graphs
from hwmodel.machines.gpu.engines.settled import limit_of, load
from hwmodel.machines.gpu.engines.step import Step, host_s
from hwmodel.spine.estimate import Part

Sums: TypeAlias = tuple[float, float, float, float]
"""Seconds at the full clock; times overload; times what follows the clock; hidden beside others."""
Table: TypeAlias = list[Sums]
Sizes: TypeAlias = Sequence[int]

TOKENS, SEQUENCES, DECODES, PROMPTS = "tokens", "sequences", "decodes", "prompts"
NONE: Sums = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Largest:
    """The largest step that tables hold: tokens, sequences that run, tokens of a sequence."""

    tokens: int = 8192
    sequences: int = 256
    context: int = 32768


@dataclass(frozen=True, eq=False)
class Ask:
    """What is asked of `predict`, but for the sizes of a step.

    Sequences are those of each of the `ranks` that attend apart, all of them alike. With a `draft`
    the steps are those that verify; what drafts runs ahead, and is asked for by itself.
    """

    model: Model
    machine: Hardware
    engine: Engine
    parallel: Mapping[str, Any] | None
    topology: Any
    routing: str
    draft: Drafts | None = None

    @property
    def ranks(self) -> int:
        """Groups of devices that attend apart (data parallel)."""
        return int((self.parallel or {}).get("dp", 1))

    @property
    def queries(self) -> int:
        """Tokens of each sequence that decodes in a step."""
        return 1 if self.draft is None else self.draft.queries

    def decode(self, batch: Any, context: Any) -> Any:
        """A step of decode."""
        return self._decode(batch, context, Drafts.reading(self.queries))

    def held(self, batch: Any, context: Any) -> Any:
        """The same with what runs ahead of it: all that lies in the memory."""
        return self._decode(batch, context, self.draft)

    def _decode(self, batch: Any, context: Any, draft: Drafts | None) -> Any:
        return self.model.decode(
            batch=batch * self.ranks,
            context=context,
            routing=self.routing,
            parallel=self.parallel,
            draft=draft,
        )

    def mixed(self, batch: Any, context: Any, prompts: Any, tokens: Any, cached: Any) -> Any:
        """A step that reads prompts too."""
        return self.model.mixed(
            batch=batch * self.ranks,
            context=context,
            prompts=prompts * self.ranks,
            prompt=tokens + cached,
            cached=cached,
            routing=self.routing,
            parallel=self.parallel,
            draft=Drafts.reading(self.queries),
        )

    def stepped(self, work: Any) -> tuple[Step, tuple[Part, ...]]:
        """Its kernels."""
        return stepped(work, self.machine, self.engine, topology=self.topology)

    def predicted(self, work: Any) -> Any:
        """What `predict` says of it."""
        return predict(work, self.machine, engine=self.engine, topology=self.topology)


@dataclass(frozen=True, eq=False)
class Chunks:
    """Sums over chunks of prompts: by how many there are, tokens of each, and what is cached."""

    prompts: Sizes
    tokens: Mapping[int, Sizes]
    cached: Sizes
    table: Mapping[int, list[Table]]

    def at(self, prompts: int, tokens: float, cached: float) -> Sums:
        """Of so many chunks alike."""
        low, high, part = between(self.prompts, prompts)
        below = self._of(self.prompts[low], tokens, cached)
        return mix(below, self._of(self.prompts[high], tokens, cached), part) if part else below

    def _of(self, prompts: int, tokens: float, cached: float) -> Sums:
        rows = self.table[prompts]
        low, high, part = between(self.tokens[prompts], tokens)
        left, right, share = between(self.cached, cached)
        return mix(
            mix(rows[low][left], rows[low][right], share),
            mix(rows[high][left], rows[high][right], share),
            part,
        )


@dataclass(frozen=True, eq=False)
class Tables:
    """All that a step is put together from, by index: tokens, sequences."""

    contexts: Sizes
    decode: list[Table]
    decode_host_s: Sequence[float]
    tokens: Table
    launching_s: Sequence[float]
    sequences: Table
    attending: list[Table]
    chunks: Chunks


def tables(ask: Ask, largest: Largest, ratio: float, costs: Mapping[str, float]) -> Tables:
    """All tables, with neighbours on grids at most `ratio` apart, the host at `costs`."""
    each = ask.queries
    most = largest.tokens + largest.sequences * each
    least = each + 1  # as many keys as queries are a prompt
    contexts = _grid(least, largest.context, ratio)
    batches = _batches(ask.engine.graphs, largest.sequences, each)
    decode, host = _decoding(ask, batches, contexts, costs)
    tokens = _tokens(ask.engine.graphs, most, each + 1)
    chunks = _chunks(largest, ratio)
    sparse = _grid(1, largest.sequences, ratio**0.5)
    wide = [each * b + 1 for b in _grid(1, -(-most // each), 1.5)]
    flat = probes(ask.engine.graphs, each)
    told = len(flat)
    flat += [(1, least, 1, n - each, 1) for n in tokens]
    flat += [((n - 1) // each, least, 1, 1, 1) for n in wide]
    flat += [(b, c, 1, 1, 1) for b in sparse for c in contexts]
    given = [(p, n, c) for p, sizes in chunks[1].items() for n in sizes for c in chunks[2]]
    flat += [(1, least, *chunk) for chunk in given]
    step, parts = ask.stepped(ask.mixed(*(np.asarray(each) for each in zip(*flat, strict=True))))
    sums = _sums(ask, parts, costs["dynamic"], len(flat))
    groups = [_group(part, len(flat)) for part in parts]
    ends = np.cumsum([told, len(tokens), len(wide), len(sparse) * len(contexts)])
    _, *apart = np.split(_grouped(sums, groups), ends, axis=1)
    rows, heads, attend, read = (each[group] for group, each in enumerate(apart))
    quiet = {**costs, "step": 0.0, "request": 0.0}
    launching = np.broadcast_to(host_s(step, quiet)[0], len(flat))[ends[0] : ends[1]]
    attending = attend.reshape(len(sparse), len(contexts), 4)
    table: dict[int, list[Table]] = {}
    at = 0
    for prompts, sizes in chunks[1].items():
        count = len(sizes) * len(chunks[2])
        table[prompts] = _lists(read[at : at + count].reshape(len(sizes), len(chunks[2]), 4))
        at += count
    return Tables(
        contexts=contexts,
        decode=_lists(_every(batches, decode, largest.sequences)),
        decode_host_s=_every(batches, host[:, None], largest.sequences)[:, 0].tolist(),
        tokens=_lists(_every(tokens, rows, most)),
        launching_s=_every(tokens, launching[:, None], most)[:, 0].tolist(),
        sequences=_lists(_every(wide, heads, most)),
        attending=_lists(_every(sparse, attending, largest.sequences)),
        chunks=Chunks(chunks[0], chunks[1], chunks[2], table),
    )


def _decoding(
    ask: Ask, batches: Sizes, contexts: Sizes, costs: Mapping[str, float]
) -> tuple[Any, Any]:
    """Sums of steps of decode, (batches, contexts, 4), and the host's seconds, (batches,)."""
    batch, context = (each.ravel() for each in np.meshgrid(batches, contexts, indexing="ij"))
    step, parts = ask.stepped(ask.decode(batch, context))
    sums = sum(_sums(ask, parts, costs["dynamic"], len(batch)))
    shape = len(batches), len(contexts)
    host = np.broadcast_to(host_s(step, costs)[0], len(batch)).reshape(shape)[:, 0]
    return np.asarray(sums).reshape(*shape, 4), host


def _sums(ask: Ask, parts: Sequence[Part], dynamic: float, count: int) -> list[Any]:
    """Of each part (count, 4): see `Sums`."""
    limit = limit_of(ask.machine)
    shown = tuple(parts)
    for aside in ask.engine.aside:
        shown = aside.exposed(shown)
    found: list[Any] = []
    for part, seen in zip(parts, shown, strict=True):
        spent = part.times * part.time_s
        overload, follow = load(part, limit, dynamic)
        columns = spent, spent * overload, spent * follow, spent - seen.times * seen.time_s
        found.append(np.stack([np.broadcast_to(each, count) for each in columns], axis=-1))
    return found


def probes(graphs: Graphs, queries: int = 1) -> list[tuple[int, int, int, int, int]]:
    """Mixed steps that tell groups of kernels apart: sequences, context, prompts, tokens, cached.

    They are beyond the largest graph, since sizes within one are padded to the same. Sequences that
    decode have so many `queries`: of 7 q + (q + 2) m tokens as of 8 q + 2 n.
    """
    least, others = max(graphs.largest, 512), queries + 2
    tokens = next(
        m for m in range(-(-2 * least // others), 3 * least) if (others * m - queries) % 2 == 0
    )
    each = (others * tokens - queries) // 2
    return [
        (8, 1000, 2, each, 1),
        (8, 30000, 2, each, 1),  # other contexts
        (8, 1000, 2, each, 20000),  # other prefixes
        (7, 1000, others, tokens, 1),  # as many tokens and logits, another batch and chunks
        (8, 1000, 2, each + 200, 1),  # more tokens
        (8, 1000, 2, 6, 500),  # chunks that another kernel reads
        (8, 1000, 2, 6, 9000),
    ]


def _group(part: Part, count: int) -> str:
    """The group of a part of mixed steps, of which the first are `probes`."""
    each = [np.broadcast_to(part.times * x, count) for x in (part.time_s, part.energy_j)]

    def differs(at: int, other: int = 0) -> bool:
        return any(abs(x[at] - x[other]) > 1e-9 * abs(x[other]) for x in each)

    if differs(1):
        return DECODES
    if differs(2) or differs(6, 5) or (differs(3) and differs(4)):
        return PROMPTS
    if differs(3):
        return DECODES
    return TOKENS if differs(4) else SEQUENCES


def _grouped(sums: Sequence[Any], groups: Sequence[str]) -> Any:
    """Sums of each group, (4, points, 4)."""
    none = np.zeros_like(sums[0])
    return np.stack(
        [
            sum((s for s, mine in zip(sums, groups, strict=True) if mine == name), start=none)
            for name in (TOKENS, SEQUENCES, DECODES, PROMPTS)
        ]
    )


def _grid(low: int, high: int, ratio: float) -> list[int]:
    """Whole sizes from low to high, each at most `ratio` of the one before it."""
    count = max(int(np.ceil(np.log(max(high, low + 1) / low) / np.log(ratio))), 1)
    sizes = np.geomspace(low, max(high, low + 1), count + 1)
    return sorted({round(float(each)) for each in sizes})


def _batches(graphs: Graphs, most: int, queries: int = 1) -> list[int]:
    """Ends of each captured size's range, in sequences, and a grid beyond the largest."""
    ends = [n // queries for n in graphs.captured if queries <= n <= most * queries]
    starts = [1, *(n + 1 for n in ends if n < most)]
    last = graphs.largest // queries
    beyond = _grid(max(last + 1, 2), most, 1.1) if most > last else []
    return sorted({*ends, *starts, *beyond, most})


def _tokens(graphs: Graphs, most: int, least: int = 2) -> list[int]:
    """Ends of captured sizes' ranges, then of tiles of 64, 128 and 256 rows."""
    steps = [*range(graphs.largest, 1024, 64), *range(1024, 4096, 128), *range(4096, most, 256)]
    ends = [n for n in (*graphs.captured, *steps) if least <= n <= most]
    return sorted({least, *ends, *(n + 1 for n in ends if n < most), most})


def _chunks(largest: Largest, ratio: float) -> tuple[list[int], dict[int, list[int]], list[int]]:
    """Prompts, the sizes of their chunks, and what is cached, on grids."""
    few = min(largest.sequences, largest.tokens)
    prompts = [p for p in (1, 2, 3, 4, 6, 8, 16, 64, 256) if p <= few]
    sizes = {p: _grid(1, max(2 * largest.tokens // p, 2), ratio) for p in prompts}
    return prompts, sizes, [1, *_grid(64, max(largest.context, 128), ratio)]


def _every(nodes: Sizes, values: Any, most: int) -> Any:
    """Values at every whole number up to `most`, linear between nodes along the first axis."""
    at = np.clip(np.arange(most + 1), nodes[0], nodes[-1])
    sizes = np.asarray(nodes)
    if len(sizes) == 1:
        return np.asarray(values)[np.zeros(most + 1, dtype=int)]
    high = np.clip(np.searchsorted(sizes, at), 1, len(sizes) - 1)
    low = high - 1
    part = (at - sizes[low]) / (sizes[high] - sizes[low])
    part = part.reshape(-1, *([1] * (np.ndim(values) - 1)))
    return values[low] * (1 - part) + values[high] * part


def _lists(values: Any) -> Any:
    """Nested lists, the last axis tuples: quicker to read one by one than arrays."""
    return [_lists(each) if np.ndim(each) > 1 else tuple(each.tolist()) for each in values]


def between(nodes: Sizes, size: float) -> tuple[int, int, float]:
    """The nodes beside a size and how far it is from the first; the last ones' line beyond."""
    if size <= nodes[0] or len(nodes) == 1:
        return 0, 0, 0.0
    high = min(bisect_right(nodes, size), len(nodes) - 1)
    low = high - 1
    return low, high, (size - nodes[low]) / (nodes[high] - nodes[low])


def mix(low: Sums, high: Sums, part: float) -> Sums:
    """Between two sums."""
    rest = 1 - part
    return (
        low[0] * rest + high[0] * part,
        low[1] * rest + high[1] * part,
        low[2] * rest + high[2] * part,
        low[3] * rest + high[3] * part,
    )


def add(one: Sums, other: Sums) -> Sums:
    """Of both."""
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]
