"""A network of maps as what a step of training asks of a model: units, formats, a name.

Shipped networks by their names (resnet50, unet3d, ...), and files of layers. What a file of a
trained network leaves out of training is told: norms that it folded into its filters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hwmodel.einsum.workloads import cnn, families, layer_list
from hwmodel.einsum.workloads import layer as maps
from hwmodel.einsum.workloads.autocast import converted
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.unit import of_maps
from hwmodel.einsum.workloads.precision import Precision

FILES = (*cnn.IMPORTED, *(end for end in layer_list.FILES if end != ".json"))
"""How names of files of networks end; a .json is the config of a model of tokens."""


@dataclass(frozen=True)
class Mapped:
    """A network on images or volumes, which is trained."""

    given: maps.Network
    precision: Precision

    @property
    def name(self) -> str:
        """The network's, with the sides of what it reads."""
        return self.given.title

    @cached_property
    def network(self) -> Network:
        """Its units in a row."""
        return of_maps(self.given)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its layers leave out."""
        kinds = {each.kind for each in self.given.layers}
        if kinds & {"norm", "groupnorm", "layernorm"} or "conv" not in kinds:
            return ()
        return (f"{self.given.name}: has no norms: those folded into its filters are left out",)


def is_network(config: Any) -> bool:
    """Whether a config names a network of maps, or is a file of one."""
    if isinstance(config, Mapping) or not isinstance(config, (str, Path)):
        return False
    name = str(config)
    return name.endswith(FILES) or name in names()


def names() -> tuple[str, ...]:
    """Of the networks of maps that are shipped."""
    return (*cnn.NETWORKS, *families.variants())


def mapped(config: str | Path, resolution: int | None, activation: str) -> Mapped:
    """The network of a name or file, at a resolution, in 16-bit formats."""
    found = converted(cnn.network(str(config), resolution, 1.0, None), activation)
    one = activation
    return Mapped(found, Precision(weight=one, kv=one, activation=one, linear=one))
