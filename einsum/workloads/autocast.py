"""Formats of a network's maps: one for all, or those that torch.autocast makes.

Under autocast convolutions, products and attention read and write 16 bits (what they read in 32
is narrowed by a kernel before); layer norms compute in 32 bits and write them (what they read in 16
is widened); anything else has the widest format of what it reads (PyTorch, Automatic Mixed
Precision package, lists of operations for CUDA). The image comes in 32 bits.
"""

from collections.abc import Iterator, Sequence

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.layer import Formats, Layer

NARROWED = ("conv", "depthwise", "linear", "dense", "attention")
WIDENED = ("layernorm",)
PROMOTED = ("gain", "tokens")
"""Layers that join a map and parameters, which stay in 32 bits."""
WIDE = "fp32"
_CONVERTED = "O[b, p] = copy(I[b, p])"


def stages(layers: Sequence[Layer], dtype: str, batch: int, autocast: bool) -> Iterator[Stage]:
    """A stage for each layer, and one for each conversion of what it reads."""
    if not autocast:
        yield from (Stage(layer.cascade(dtype, batch)) for layer in layers)
        return
    held = [WIDE]  # of the image, then of each layer's map
    narrow: set[int] = set()
    for layer in layers:
        read = [held[at + 1] for at in layer.inputs]
        widest = WIDE if WIDE in read else dtype
        kind = layer.kind
        made = dtype if kind in NARROWED else WIDE if kind in (*WIDENED, *PROMOTED) else widest
        target = widest if kind in PROMOTED else made
        apart = kind in (*NARROWED, *WIDENED)
        for at, given in zip(layer.inputs, read, strict=True):
            if apart and given != target and at not in narrow:
                yield Stage(_converted(layer, batch, given, target))
                narrow.add(at)
        held.append(made)
        yield Stage(layer.cascade(Formats(target, made, dtype), batch))


def _converted(layer: Layer, batch: int, given: str, target: str) -> Cascade:
    """The first map that a layer reads in another format."""
    sizes = {"b": batch, "p": layer.inputs_elements}
    dtypes = {"I": given, "O": target}
    return parse(_CONVERTED, sizes=sizes, dtypes=dtypes, name=f"{layer.name} as {target}")
