"""Estimates of many divisions of one step of a model, from blocks that are worked out once.

What a block takes on one device depends on few of the degrees: attention on tp, cp and the
sequences that pass, experts on theirs besides. So the seconds of each block are remembered by what
they depend on, kernels and collectives together, and a division's estimate is put together from
those of its blocks: to rounding what `driver.predict` says, but for kernels whose counts fall below
a proven bound, which that mends. Parts are blocks then, and bounds and traffic are left out.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.division import Division
from hwmodel.einsum.network import Served, Stack
from hwmodel.einsum.workloads.blocks.beside import Beside
from hwmodel.einsum.workloads.blocks.block import Block, Step
from hwmodel.einsum.workloads.blocks.divided import divided, embedded, gathered, handed
from hwmodel.einsum.workloads.blocks.ends import Head
from hwmodel.einsum.workloads.blocks.mixture import Mixture, sends
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.model import Model
from hwmodel.einsum.workloads.phases import kept, passes, passing
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines import driver
from hwmodel.machines.held import live_bytes
from hwmodel.machines.joints import exchange_s
from hwmodel.machines.kept import Kept
from hwmodel.network import spans
from hwmodel.network.topology import Topology
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Work
from hwmodel.spine.estimate import Estimate, Part

PLAIN = (Head, Mixture, Mlp, PlainMlp)
"""Blocks whose kernels depend on nothing of a context but its tokens."""
Made: TypeAlias = Callable[[], Stages]


@dataclass(frozen=True, eq=False)
class Piece:
    """A block on one device: stages with what all their runs take, and its most live bytes."""

    stages: Stages
    parts: tuple[tuple[Part, ...], ...]
    live_bytes: Amount


class Blockwise:
    """A step of a model on a machine, to be divided in many ways."""

    def __init__(
        self,
        model: Model,
        step: Step,
        machine: Hardware,
        kernel: Any = None,
        network: Topology | None = None,
        library: str | None = None,
    ) -> None:
        self.model, self.step, self.machine = model, step, machine
        self.library, self.kernel = library, kernel
        self.network, self.keeping = network, Kept()
        self.pieces: dict[Hashable, Piece] = {}
        self.alike_s: dict[Hashable, float] = {}
        """Of all blocks that depend on the same; they are known together, or none of them is."""
        self.kernels_s: dict[Hashable, float] = {}
        """Of blocks with experts, where a piece is not yet known."""
        self.sent_s: dict[Hashable, float] = {}
        """What these send; and of other blocks that are not known, those that are `alike_s`."""
        self.patterns: dict[Hashable, Hashable] = {}
        self.stages: dict[Hashable, Stages] = {}
        """Of blocks that are not known, but looked at for what they send."""
        placed = model.network.placed
        self.kinds = {id(b): kind_of(b) for b, _ in placed}
        self.plain = {id(b): plain(b) for b, _ in placed}
        self.blocks = {id(b): b for b, _ in placed}
        self.mixtures = {id(b): list(_mixtures(b)) for b, _ in placed}
        self.mixed = [
            (id(b), group.numbers)
            for group in model.network.layers
            for b in group.blocks
            if kind_of(b) == "experts"
        ]

    def estimate(self, ways: Division) -> Estimate:
        """The step so divided."""
        mine, model = passing(self.step, ways), self.model
        share = model.shard(ways)
        held = model.held(share)
        served = Served(
            model=model.name,
            tokens=self.step.tokens,
            batch=self.step.sequences,
            **kept(self.step, held),
            **passes(self.step, mine, ways),
            weights_bytes=model.fullest_bytes(held),
        )
        found = self._pieces(mine, share.share, served)
        stages = tuple(stage for piece in found for stage in piece.stages)
        each = [parts for piece in found for parts in piece.parts]
        stack = Stack(model.name, stages, served=served)
        live = most(piece.live_bytes for piece in found)
        return driver.put_together(stack, served, self.machine, each, live)

    def known_s(self, ways: Division) -> tuple[float, frozenset[str]]:
        """Seconds of a pass at the least: of blocks that are known, else of what they exchange.

        And the kinds (`kind_of`) of those blocks whose kernels are not among them.
        """
        mine, share, unknown = (
            passing(self.step, ways),
            Share(self.model.precision, ways),
            set[str](),
        )
        plain, whole, sparse = self._keys(mine, ways)
        total = 0.0
        handed = plain, ways.pp, self._network("pp", ways)
        for kind, key in (("plain", plain), ("whole", whole), ("handed", handed)):
            if key in self.alike_s:
                total += self.alike_s[key]
                continue
            if key not in self.sent_s:
                self._look(mine, share, {plain, whole, handed} - {*self.alike_s, *self.sent_s})
            total += self.sent_s[key]
            unknown |= {kind} - {"handed"}
        told = set[Hashable]()
        for block, numbers in self.mixed:
            own = plain if self.plain[block] else whole
            key = own, sparse
            if key in self.alike_s:
                total += 0.0 if key in told else self.alike_s[key]
                told.add(key)
                continue
            at = "layer", block, numbers, key
            kernels = self._kernels(at, mine, ways)
            total += self.kernels_s.get(kernels, 0.0) + self._sent_s(at, mine, share)
            if kernels not in self.kernels_s:
                unknown.add("experts")
        return total, frozenset(unknown)

    def _look(self, mine: Step, share: Share, keys: set[Hashable]) -> None:
        """What blocks that depend on these exchange, those aside that do so beside kernels."""
        found = dict.fromkeys(keys, 0.0)
        given = share.ways, self.machine, self.network, self.library, self.keeping
        for at, made in self._asked(mine, share):
            key = _alike(at)
            if key not in keys:
                continue
            if at not in self.stages:
                self.stages[at] = made()
            joint = (s for s in self.stages[at] if s.collective and not s.collective.beside)
            found[key] += sum(exchange_s(stage, *given) for stage in joint)
        self.sent_s |= found

    def _kernels(self, at: tuple[Any, ...], mine: Step, ways: Division) -> Hashable:
        """What kernels of a block with experts depend on: not on how rows come to them.

        Nor on contexts and networks, where the block is plain.
        """
        _, block, numbers, (own, (ep, redundant, *_)) = at
        rows = (float(mine.tokens), ways.tp, ways.sp) if self.plain[block] else own
        return block, numbers, rows, ep, redundant, ways.expert_tp

    def _sent_s(self, at: tuple[Any, ...], mine: Step, share: Share) -> float:
        """Seconds of rows to experts and back, in all layers of a block."""
        _, block, numbers, (_, (*sparse,)) = at
        key = block, numbers, float(mine.tokens), share.tp, share.ways.sp, *sparse
        if key not in self.sent_s:
            placed, mixtures = replace(share, layers=numbers), self.mixtures[block]
            if sends(share.ways):
                stages = [s for each in mixtures for s in each.exchanges(mine, placed)]
            else:  # few ways do not: all that the block exchanges
                stages = [s for s in divided(self.blocks[block], mine, placed) if s.collective]
            given = share.ways, self.machine, self.network, self.library, self.keeping
            self.sent_s[key] = sum(exchange_s(stage, *given) for stage in stages)
        return self.sent_s[key]

    def _pieces(self, mine: Step, share: Share, served: Served) -> list[Piece]:
        """What the blocks take, in order, and what is exchanged between them."""
        found: list[Piece] = []
        together_s: dict[Hashable, float] = {}
        for at, made in self._asked(mine, share):
            if at not in self.pieces:
                stages = self.stages.pop(at, None)
                self.pieces[at] = piece = self._piece(made() if stages is None else stages, served)
                if self.kinds.get(at[1]) == "experts":
                    own = zip(piece.stages, piece.parts, strict=True)
                    parts = (part for stage, (part,) in own if stage.collective is None)
                    kernels = self._kernels(at, mine, share.ways)
                    self.kernels_s[kernels] = float(sum(part.time_s for part in parts))
            found.append(self.pieces[at])
            time_s = float(sum(part.time_s for (part,) in self.pieces[at].parts))
            together_s[_alike(at)] = together_s.get(_alike(at), 0.0) + time_s
        self.alike_s |= together_s
        return found

    def _asked(self, mine: Step, share: Share) -> Iterator[tuple[tuple[Any, ...], Made]]:
        """Each block: what its piece is known by, and its stages."""
        network, ways = self.model.network, share.ways
        plain, whole, sparse = self._keys(mine, ways)
        alone = replace(share, layers=(None,))
        for block in network.before:
            yield ("before", id(block), whole), partial(embedded, block, mine, alone)
        for group in network.layers:
            ours = replace(share, layers=group.numbers)
            for block in group.blocks:
                own = plain if self.plain[id(block)] else whole
                key = (own, sparse) if self.kinds[id(block)] == "experts" else own
                yield ("layer", id(block), group.numbers, key), partial(divided, block, mine, ours)
        key = plain, ways.pp, self._network("pp", ways)
        yield ("handed", None, key), partial(handed, mine, alone, network.hidden)
        yield ("gathered", None, plain), partial(gathered, mine, alone, network.hidden)
        for block in network.after:
            key = plain if self.plain[id(block)] else whole
            yield ("after", id(block), key), partial(block.stages, mine, alone)

    def _keys(self, mine: Step, ways: Division) -> tuple[Hashable, Hashable, Hashable]:
        """What plain blocks depend on, all others, and blocks with experts beside."""
        sizes = mine.batch, mine.queries, ways.tp, ways.sp, ways.ends
        plain = *sizes, self._network("tp", ways)
        context = mine.context, mine.span, ways.cp, ways.attends, ways.dealt
        sparse = (
            *(ways.ep, ways.redundant, ways.dispatch),
            *(ways.expert_tp, ways.width // (ways.ep * ways.expert_tp) > 1),
            *(self._network(over, ways) for over in ("ep", "etp", "etp,ep")),
        )
        return plain, (plain, context, self._network("cp", ways)), sparse

    def _network(self, over: str, ways: Division) -> Hashable:
        """What tells one network of an axis from another."""
        key = over, ways.tp, ways.cp, ways.dp, ways.pp, ways.ep, ways.etp
        if key not in self.patterns:
            self.patterns[key] = spans.pattern(ways, over) if ways.devices > 1 else ()
        return self.patterns[key]

    def _piece(self, stages: Stages, served: Served) -> Piece:
        """Some stages on one device, each stage's runs as one part."""
        if not stages:
            return Piece((), (), 0)
        stack = Stack(self.model.name, stages, served=served)
        able, parts = driver.parts_of(
            stack, self.machine, self.kernel, self.network, self.library, self.keeping
        )
        live = most(live_bytes(stage.cascade) for stage in able.stages)
        made = tuple((_joined(stage, own),) for stage, own in zip(able.stages, parts, strict=True))
        return Piece(able.stages, made, live)


def plain(block: Block) -> bool:
    """Whether a block does with each token alike, whatever stands before it."""
    parts = block.parts if isinstance(block, Beside) else ()
    return isinstance(block, PLAIN) or (bool(parts) and all(plain(part) for part in parts))


def kind_of(block: Block) -> Literal["experts", "plain", "whole"]:
    """What a block depends on: how experts are divided; tokens alone; or all that is before it."""
    if any(weight.copies > 1 for weight in block.weights()):
        return "experts"
    return "plain" if plain(block) else "whole"


def _alike(at: tuple[Any, ...]) -> Hashable:
    """What all blocks depend on that are known, or not, with this one."""
    return at[-1]


def _mixtures(block: Block) -> Iterator[Mixture]:
    """Those that a block is made of."""
    if isinstance(block, Mixture):
        yield block
    for part in getattr(block, "parts", ()):
        yield from _mixtures(part)


def _joined(stage: Stage, parts: Sequence[Part]) -> Part:
    """All runs of a stage as one part, of time and energy alone."""

    def total(read: Callable[[Part], Amount]) -> Amount:
        return sum((part.times * read(part) for part in parts), start=0.0)

    return Part(
        name=stage.name,
        family="block",
        times=1,
        counts=Work(),
        time_s=total(lambda part: part.time_s),
        sustained_s=total(lambda part: part.sustained_s),
        busy_s={},
        energy_j=total(lambda part: part.energy_j),
        interval=(1.0, 1.0),
    )
