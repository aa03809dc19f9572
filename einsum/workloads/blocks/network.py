"""A network as layers of blocks: what an architecture makes of a config.

Equal layers are one entry with their numbers, never unrolled. A step's stages follow from the
blocks in order; where layers differ, stages that they have in common are one stage, and those that
only some have stand between.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import TypeAlias

from hwmodel.einsum.division import spread
from hwmodel.einsum.workloads.blocks.block import Block, Step
from hwmodel.einsum.workloads.blocks.divided import divided, embedded, gathered, handed
from hwmodel.einsum.workloads.blocks.joined import interleaved
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.quantity.errors import InputError

Change: TypeAlias = Callable[[int, tuple[Block, ...]], tuple[Block, ...]]
"""A layer's number and blocks to its blocks."""

NONE: Mapping[str, "Network"] = MappingProxyType({})


@dataclass(frozen=True)
class Layers:
    """Equal layers: their numbers in the model, and the blocks of each."""

    numbers: tuple[int, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, repr=False)
class Network:
    """Blocks before the layers, the layers, and blocks after them.

    `towers` are networks beside it (vision, encoder), each with its own hidden size; what is asked
    of the network is asked of it alone, but for the parameters. Where a config says so, `further`
    modules of the blocks `module` predict further tokens in training (`blocks.further`). One that
    `generates` makes tokens one by one; an encoder does not. A sequence that decodes `makes` so
    many tokens in a step. Of a network of maps the loss `judges` so many numbers of an image; of
    others it is 0, and the head says how many of a token.
    """

    hidden: int
    before: tuple[Block, ...]
    layers: tuple[Layers, ...]
    after: tuple[Block, ...]
    towers: Mapping[str, "Network"] = field(default_factory=lambda: NONE, hash=False)
    generates: bool = True
    makes: int = 1
    further: int = 0
    module: tuple[Block, ...] = ()
    judges: int = 0

    def __repr__(self) -> str:
        """Sizes, and the kinds of blocks of the commonest layers; `layers` has every field."""
        most = max(self.layers, key=lambda group: len(group.numbers), default=Layers((), ()))
        kinds = ", ".join(type(block).__name__ for block in most.blocks)
        ways = f" in {len(self.layers)} ways, most" if len(self.layers) > 1 else ""
        beside = f"; beside it {', '.join(self.towers)}" if self.towers else ""
        return f"<Network hidden={self.hidden}, {self.depth} layers{ways} of {kinds}{beside}>"

    @property
    def depth(self) -> int:
        """Number of layers."""
        return sum(len(group.numbers) for group in self.layers)

    @cached_property
    def placed(self) -> tuple[tuple[Block, tuple[int | None, ...]], ...]:
        """Every block, with the numbers of the layers that have it (None outside of them)."""
        found: list[tuple[Block, tuple[int | None, ...]]] = [(b, (None,)) for b in self.before]
        found += [(block, group.numbers) for group in self.layers for block in group.blocks]
        return (*found, *((block, (None,)) for block in self.after))

    @cached_property
    def weights(self) -> tuple[tuple[Weight, tuple[int | None, ...]], ...]:
        """Every weight, with the numbers of the layers that have it; towers last."""
        own = tuple((w, layers) for block, layers in self.placed for w in block.weights())
        return (*own, *(each for tower in self.towers.values() for each in tower.weights))

    def changed(self, change: Change) -> "Network":
        """The network whose layers have the blocks that `change` makes of their number and blocks.

        What is made for layers alike is found once more as equal layers.
        """
        by_layer = {n: group.blocks for group in self.layers for n in group.numbers}
        made = (change(number, by_layer[number]) for number in sorted(by_layer))
        return replace(self, layers=grouped(made))

    def modules(self) -> Iterator[str]:
        """Full names of all modules, of experts the first of each layer."""
        for weight, layers in self.weights:
            for layer in layers:
                yield weight.path_in(layer)

    @property
    def words(self) -> tuple[str, ...]:
        """Heads of the blocks that have some, for people, each way once."""
        said = (getattr(block, "words", None) for block, _ in self.placed)
        return tuple(dict.fromkeys(words for words in said if words))

    def split(self, part: str) -> Split | None:
        """How the first weight of a part is divided; None where the network has no such part."""
        return next((w.split for w, _ in self.weights if w.part == part), None)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels of one step on one device, in order; of a pipeline on one of each stage."""
        alone = replace(share, layers=(None,))
        layers = [
            [s for block in group.blocks for s in divided(block, step, share_of)]
            for group in self.layers
            for share_of in (replace(share, layers=group.numbers),)
        ]
        return (
            *(stage for block in self.before for stage in embedded(block, step, alone)),
            *interleaved(layers),
            *handed(step, alone, self.hidden),
            *gathered(step, alone, self.hidden),
            *(stage for block in self.after for stage in block.stages(step, alone)),
        )

    def cut(self, count: int) -> "tuple[Network, ...]":
        """The stages of a pipeline, as networks of their own: layers in order, ends at the ends.

        A head that is tied to the embedding needs the table too, where that is on another stage.
        """
        if count > self.depth:
            raise InputError(
                f"model: pp: expected {self.depth} or fewer, one for each layer; found {count}"
            )
        if count == 1:
            return (self,)
        ends = list(accumulate(spread(self.depth, count), initial=0))
        return tuple(self._part(start, end) for start, end in pairwise(ends))

    def _part(self, start: int, end: int) -> "Network":
        """The layers from one number to before another, and the ends that they stand at."""
        kept = [(tuple(n for n in g.numbers if start <= n < end), g) for g in self.layers]
        first, last = start == 0, end == self.depth
        return replace(
            self,
            before=self.before if first or (last and self._tied) else (),
            layers=tuple(replace(group, numbers=numbers) for numbers, group in kept if numbers),
            after=self.after if last else (),
            towers=self.towers if first else NONE,
        )

    @property
    def _tied(self) -> bool:
        """Whether the head multiplies by the embedding's table."""
        return any(getattr(block, "tied", False) for block in self.after)


def grouped(layers: Iterable[tuple[Block, ...]]) -> tuple[Layers, ...]:
    """Layers in the order of the model as groups of equal ones."""
    found: dict[tuple[Block, ...], list[int]] = {}
    for number, blocks in enumerate(layers):
        found.setdefault(blocks, []).append(number)
    return tuple(Layers(tuple(numbers), blocks) for blocks, numbers in found.items())
