"""A part of a network of maps as a layer: what is computed again, or gathered, at once.

Units are the blocks that a network's file tells apart; where it tells none, each layer with weights
and those that follow it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.workloads import layer as maps
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.network import Layers, Network
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.map_gradients import parameters

PART = "convolution"


@dataclass(frozen=True, eq=False)
class Unit:
    """The layers of a network of maps from one place to before another; whole on every device."""

    network: maps.Network
    start: int
    end: int

    @property
    def layers(self) -> tuple[maps.Layer, ...]:
        """Its layers, in order."""
        return self.network.layers[self.start : self.end]

    @property
    def reversible(self) -> bool:
        """Whether its input is found again from what it made."""
        return all(each.reversible for each in self.layers)

    def weights(self) -> tuple[Weight, ...]:
        """Filters of each layer, and all that is a number for each channel."""
        return tuple(weight for each in self.layers for weight in _weights(each))

    def stages(self, step: Step, share: Share) -> Stages:
        """Its layers forward, on the images of the step."""
        batch = int(step.batch)
        return tuple(Stage(each.cascade(share.activation, batch)) for each in self.layers)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


def _weights(layer: maps.Layer) -> Iterator[Weight]:
    rest = parameters(layer) - layer.weights
    if layer.weights:
        rows = layer.channels if layer.kind == "transposed" else layer.filters
        yield Weight(f"{layer.name}.weight", (rows, layer.weights // rows), "conv", PART)
    if rest:
        yield Weight(f"{layer.name}.bias", (rest,), "norm", "norms")


def of_maps(network: maps.Network) -> Network:
    """A network of maps as units in a row."""
    ends = [*_starts(network), len(network.layers)]
    units = [Unit(network, start, end) for start, end in pairwise(ends)]
    layers = tuple(Layers((number,), (unit,)) for number, unit in enumerate(units))
    return Network(0, (), layers, (), generates=False, judges=network.layers[-1].outputs_elements)


def _starts(network: maps.Network) -> list[int]:
    several = len({each.block for each in network.layers}) > 1
    found: list[int] = []
    before: int | None = None
    for place, each in enumerate(network.layers):
        begins = each.block != before if several else bool(each.weights)
        if begins or not found:
            found.append(place)
        before = each.block
    return found
