"""Which maps of a network lie with their channels last, as torch leaves them.

Maps come with channels first. A norm over channels (`layernorm`) and a product at every place
(`dense`) write them last, and what runs after keeps the order of the map that it reads first:
windows (cuDNN's answer in the layout of their image), pools, and what is elementwise. Such a map is
only viewed, not moved, before the next norm. A map of one place has no order.
"""

from collections.abc import Iterator, Sequence

from hwmodel.einsum.workloads.layer import POOLS, WINDOWED, Layer

WRITES_LAST = ("layernorm", "dense")
KEEPS = (
    *(*WINDOWED, *POOLS, "add", "multiply", "scale", "concat", "activation", "norm", "shift"),
    *("gain", "groupnorm", "enlarge", "cast", "power"),
)


def layouts(layers: Sequence[Layer], first: int = 0) -> Iterator[tuple[bool, bool]]:
    """Of each layer whether its first map lies channels last, and whether it only views that.

    `first` is the place of the first of them in its network; maps of those before lie as they come.
    """
    last: dict[int, bool] = {}
    for at, layer in enumerate(layers, first):
        read = last.get(layer.inputs[0], False)
        after = layers[min(at + 1 - first, len(layers) - 1)]
        normed = after.kind == "layernorm" and after.inputs[0] == at
        viewed = layer.kind == "move" and read and normed
        last[at] = viewed or layer.kind in WRITES_LAST or (layer.kind in KEEPS and read)
        yield read, viewed
