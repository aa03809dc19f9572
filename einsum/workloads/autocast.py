"""Formats of a network's maps: one for all, or those that torch.autocast makes.

Under autocast convolutions, products and attention read and write 16 bits (what they read in 32
is narrowed by a kernel before); norms of layers and groups, softmax and powers compute in 32 bits
and write them (what they read in 16 is widened), but norms that a network has in 16; anything else
has the widest format of what it reads (PyTorch, Automatic Mixed Precision package, lists of
operations for CUDA). The image comes in 32 bits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.layer import WEIGHTED, Formats, Layer, Network
from hwmodel.einsum.workloads.map_layouts import layouts

NARROWED = (*WEIGHTED, "attention", "matmul")
WIDENED = ("layernorm", "groupnorm", "softmax", "power")
PROMOTED = ("gain", "tokens")
"""Layers that join a map and parameters, which stay in 32 bits."""
WIDE = "fp32"
_CONVERTED = "O[b, p] = copy(I[b, p])"


def stages(
    layers: Sequence[Layer], dtype: str, batch: int, autocast: bool, first: int = 0
) -> Iterator[Stage]:
    """A stage for each layer, and one for each conversion of what it reads.

    `first` is the place of the first of them in its network.
    """
    if not autocast:
        for layer, (last, viewed) in zip(layers, layouts(layers, first), strict=True):
            if not viewed:
                yield Stage(layer.cascade(dtype, batch, channels_last=last))
        return
    held = [WIDE]  # of the image, then of each layer's map
    narrow: set[int] = set()
    for layer, (last, viewed) in zip(layers, layouts(layers), strict=True):
        read = [held[at + 1] for at in layer.inputs]
        widest = WIDE if WIDE in read else dtype
        kind = layer.kind
        made = dtype if layer.narrow else _made(layer, dtype, widest)
        target = widest if kind in PROMOTED else made
        apart = kind in NARROWED or _widened(layer)
        for at, given in zip(layer.inputs, read, strict=True):
            if apart and given != target and at not in narrow:
                yield Stage(_converted(layer, batch, given, target))
                narrow.add(at)
        held.append(made)
        if not viewed:
            formats = Formats(target, made, dtype)
            yield Stage(layer.cascade(formats, batch, channels_last=last))


def converted(network: Network, dtype: str) -> Network:
    """A network with the conversions that a step of training makes, and the format of each map.

    The image comes in `dtype`: its conversion is not the device's. Norms are torch's, also where a
    network has its own in 16 bits.
    """
    found: list[Layer] = []
    places, copies = {-1: -1}, dict[tuple[int, str], int]()
    held = {-1: dtype}
    for at, layer in enumerate(network.layers):
        read = [held[each] for each in layer.inputs]
        made = _made(layer, dtype, WIDE if WIDE in read else dtype)
        inputs: list[int] = []
        for source, given in zip(layer.inputs, read, strict=True):
            place = places[source]
            if (layer.kind in NARROWED or _widened(layer)) and given != made:
                key = source, made
                if key not in copies:
                    copies[key] = len(found)
                    found.append(_cast(layer, place, given, made))
                place = copies[key]
            inputs.append(place)
        held[at], places[at] = made, len(found)
        found.append(replace(layer, inputs=tuple(inputs), written=made))
    return replace(network, layers=tuple(found))


def _made(layer: Layer, dtype: str, widest: str) -> str:
    """The format of what a layer makes."""
    if layer.kind in NARROWED:
        return dtype
    return WIDE if _widened(layer) or layer.kind in PROMOTED else widest


def _widened(layer: Layer) -> bool:
    """Whether it computes in 32 bits; a norm of each channel is a batch norm, which does not."""
    return layer.kind in WIDENED and (layer.kind != "groupnorm" or layer.groups < layer.filters)


def _cast(layer: Layer, place: int, given: str, made: str) -> Layer:
    """The first map that a layer reads, in another format."""
    sides = (layer.height, layer.width, layer.channels)
    return Layer(
        *(f"{layer.name} as {made}", "cast", (place,), *sides, *sides),
        block=layer.block,
        depth=layer.depth,
        out_depth=layer.depth,
        reversible=layer.reversible,
        read=given,
        written=made,
    )


def _converted(layer: Layer, batch: int, given: str, target: str) -> Cascade:
    """The first map that a layer reads in another format."""
    sizes = {"b": batch, "p": layer.inputs_elements}
    dtypes = {"I": given, "O": target}
    return parse(_CONVERTED, sizes=sizes, dtypes=dtypes, name=f"{layer.name} as {target}")
