"""Convolutional networks for small devices, as layer lists and as stacks of cascades.

All are a strided convolution, inverted residual blocks (1 x 1 to `middle` channels, depthwise
kernel x kernel, 1 x 1 to `filters`; input added where the shape stays) and a classifier:

    mobilenetv2         Sandler et al., CVPR 2018 (arXiv 1801.04381), table 2; any width
    proxyless-mobile    Cai et al., ICLR 2019 (arXiv 1812.00332), figure 4; any width
    mcunet-vww1         Lin et al., NeurIPS 2020 (arXiv 2007.10319); released network, 80 x 80
    mcunet-in2          the same; released configuration mcunet-256kb-1mb_imagenet, 160 x 160

Widths multiply channels, rounded to multiples of 8 and by at most 10 % down (the rule of the
MobileNets). Families of larger networks are files of blocks (`families.py`), their variants called
as timm calls them (resnet50, regnety_032, vit_base_patch16_224). A path that ends in `.tflite` or
`.onnx` is read by its importer, one that ends in `.yaml` or `.json` as a list of layers
(`layer_list.py`).
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.origin import Origin
from hwmodel.einsum.workloads import autocast as formats_of
from hwmodel.einsum.workloads import families, layer_list, shorthand
from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.einsum.workloads.patches import Patched, patched
from hwmodel.einsum.workloads.rows import copy
from hwmodel.einsum.workloads.workload import count, formats
from hwmodel.quantity.checked import checked
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown

IMPORTED = {
    ".tflite": "hwmodel.einsum.importers.tflite_file",
    ".onnx": "hwmodel.einsum.importers.onnx_file",
}
"""End of a file's name -> the module that reads such files, each with an extra of its own."""

SMALL = "int8"
"""The format of networks for small devices, where none is said."""

FILES = (*IMPORTED, *layer_list.FILES)
"""How names of files with networks end."""


@dataclass(frozen=True)
class Blocks:
    """A family: stem and head channels, blocks of (middle, filters, kernel, stride).

    With `ratios` the middle is a multiple of the block's input, and the width may be chosen.
    """

    stem: int
    head: int
    blocks: tuple[tuple[int, int, int, int], ...]
    ratios: bool
    resolution: int
    classes: int = 1000


def _repeated(*stages: tuple[int, int, int, int]) -> tuple[tuple[int, int, int, int], ...]:
    """Stages of (ratio, filters, times, stride), all 3 x 3, as blocks."""
    return tuple(
        (ratio, filters, 3, stride if first == 0 else 1)
        for ratio, filters, times, stride in stages
        for first in range(times)
    )


NETWORKS = {
    "mobilenetv2": Blocks(
        stem=32,
        head=1280,
        blocks=_repeated(
            *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
            *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
        ),
        ratios=True,
        resolution=224,
    ),
    "proxyless-mobile": Blocks(
        stem=32,
        head=1280,
        blocks=(
            *((1, 16, 3, 1), (3, 32, 5, 2), (3, 32, 3, 1)),
            *((3, 40, 7, 2), (3, 40, 3, 1), (3, 40, 5, 1), (3, 40, 5, 1)),
            *((6, 80, 7, 2), (3, 80, 5, 1), (3, 80, 5, 1), (3, 80, 5, 1)),
            *((6, 96, 5, 1), (3, 96, 5, 1), (3, 96, 5, 1), (3, 96, 5, 1)),
            *((6, 192, 7, 2), (6, 192, 7, 1), (3, 192, 7, 1), (3, 192, 7, 1), (6, 320, 7, 1)),
        ),
        ratios=True,
        resolution=224,
    ),
    "mcunet-vww1": Blocks(
        stem=16,
        head=0,
        blocks=(
            *((16, 8, 3, 1), (48, 16, 3, 2), (48, 16, 3, 1), (48, 16, 3, 1), (48, 24, 7, 2)),
            *((144, 24, 3, 1), (120, 24, 5, 1), (144, 40, 7, 2), (240, 40, 7, 1), (240, 48, 3, 1)),
            *((192, 48, 3, 1), (240, 96, 5, 2), (480, 96, 3, 1), (384, 96, 3, 1), (288, 160, 7, 1)),
        ),
        ratios=False,
        resolution=80,
        classes=2,
    ),
    "mcunet-in2": Blocks(
        stem=16,
        head=0,
        blocks=(
            *((16, 8, 3, 1), (24, 16, 5, 2), (96, 16, 7, 1), (80, 16, 3, 1), (80, 16, 5, 1)),
            *((80, 24, 3, 2), (144, 24, 7, 1), (144, 24, 5, 1), (96, 40, 7, 2), (200, 40, 5, 1)),
            *((200, 48, 3, 1), (240, 48, 5, 1), (192, 48, 3, 1), (288, 96, 5, 2), (384, 96, 5, 1)),
            *((288, 96, 5, 1), (384, 96, 3, 1), (480, 160, 5, 1)),
        ),
        ratios=False,
        resolution=160,
    ),
}


class _Builder:
    """Appends layers, each on the last one's map."""

    def __init__(self, resolution: int) -> None:
        self.layers: list[Layer] = []
        self.height, self.channels, self.block = resolution, 3, 0

    def layer(self, kind: str, filters: int, kernel: int = 1, stride: int = 1) -> None:
        last = len(self.layers) - 1
        out = 1 if kind in ("mean", "linear") else -(-self.height // stride)
        name = f"{self.block}.{kind}{kernel if kind in ('conv', 'depthwise') else ''}"
        self.layers.append(
            Layer(
                *(name, kind, (last,), self.height, self.height, self.channels, out, out, filters),
                kernel=kernel,
                stride=stride,
                block=self.block,
            )
        )
        self.height, self.channels = out, filters

    def residual(self, source: int) -> None:
        last, side, wide = len(self.layers) - 1, self.height, self.channels
        name, both = f"{self.block}.add", (last, source)
        self.layers.append(
            Layer(name, "add", both, side, side, wide, side, side, wide, block=self.block)
        )


def network(name: str, resolution: int | None, width: float, classes: int | None) -> Network:
    """A shipped network, or the one in a file, as its layers."""
    if name.endswith(layer_list.FILES):
        if width != 1.0:
            raise InputError(f"{name}: width is the file's; give none")
        return layer_list.read(name, resolution, classes)
    for ending, importer in IMPORTED.items():
        if name.endswith(ending):
            sized = {} if resolution is None or ending != ".onnx" else {"resolution": resolution}
            if (width, classes) != (1.0, None) or (resolution is not None and not sized):
                raise InputError(f"{name}: resolution, width and classes are the file's; give none")
            return import_module(importer).read(name, **sized)  # needs an extra
    return _shipped(name, resolution, width, classes)


@lru_cache(maxsize=64)
def _shipped(name: str, resolution: int | None, width: float, classes: int | None) -> Network:
    if name not in NETWORKS and name in families.variants() and width == 1.0:
        return families.network(name, resolution, classes)
    if name not in NETWORKS and name in shorthand.names() and width == 1.0:
        return shorthand.network(name, resolution, classes)
    if name not in NETWORKS:
        if name in families.variants() or name in shorthand.names():
            raise InputError(f"cnn: width: {name} was found at one width, 1.0; found {width}")
        known = (*NETWORKS, *families.variants(), *shorthand.names())
        raise UnknownNameError(f"network (or file: {', '.join(FILES)})", name, known)
    family = NETWORKS[name]
    if width != 1.0 and not family.ratios:
        raise InputError(f"cnn: width: {name} was found at one width, 1.0; found {width}")
    if not width > 0:
        raise InputError(f"cnn: width: expected a number above 0, found {width}")
    made = _Builder(resolution or family.resolution)
    made.layer("conv", _rounded(family.stem * width), 3, 2)
    for middle, filters, kernel, stride in family.blocks:
        made.block += 1
        source, before = len(made.layers) - 1, made.channels
        wide = before * middle if family.ratios else middle
        filters = _rounded(filters * width) if family.ratios else filters
        if wide != before:
            made.layer("conv", wide)
        made.layer("depthwise", wide, kernel, stride)
        made.layer("conv", filters)
        if stride == 1 and filters == before:
            made.residual(source)
    made.block += 1
    if family.head:
        made.layer("conv", _rounded(family.head * max(1.0, width)))
    made.layer("mean", made.channels)
    made.layer("linear", classes or family.classes)
    side = resolution or family.resolution
    return Network(name, side, side, 3, tuple(made.layers))


def _rounded(channels: float) -> int:
    """The nearest multiple of 8, 8 or more, not more than a tenth below."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


@checked
def cnn(
    network: str = "mobilenetv2",
    resolution: int | None = None,
    width: float = 1.0,
    classes: int | None = None,
    patches: int = 1,
    split: int = 0,
    dtype: str | None = None,
    batch: int = 1,
    autocast: bool = False,
    name: str | None = None,
) -> Stack:
    """Images through a convolutional network: a name, or a file (.tflite, .onnx, a list).

    `resolution`, `width` and `classes` default to those published. With `patches` n above 1 the
    first `split` layers run on n x n tiles, halo computed again. The first stage brings `batch`
    images. Without a `dtype` it is int8, as small devices store networks, and a GPU's own on one.
    With `autocast` maps have the formats that torch.autocast to `dtype` makes. Raises
    `InputError` naming the argument at fault.
    """
    arguments: dict[str, Any] = {**locals()}
    made = schedule(arguments)
    dtype = SMALL if dtype is None else dtype
    stored = formats("cnn", dtype=dtype)["dtype"]
    images = count("cnn", "batch", batch)
    given = made.network
    if autocast and (made.tiles or bytes_of(stored) != 2):
        raise InputError(
            f"cnn: autocast: expected dtype bf16 or fp16 and no patches, found {dtype}"
        )
    if given.depth > 1 and made.tiles:
        raise InputError(f"cnn: patches: expected 1 for a network on volumes, found {patches}")
    came = formats_of.WIDE if autocast else stored
    rows = images * given.depth * given.height * given.width
    stages = [Stage(copy(rows, given.channels, dtype=came, name="image"))]
    stages += [Stage(tile.cascade(stored, images), made.runs) for tile in made.tiles]
    first = len(given.layers) - len(made.rest)
    stages += formats_of.stages(made.rest, stored, images, autocast, first)
    return Stack(
        name=name or given.title,
        stages=tuple(stages),
        origin=Origin("cnn", MappingProxyType(arguments), cnn),
        layers=made if given.depth == 1 else None,
        warnings=_stored_otherwise(given, dtype),
    )


def _stored_otherwise(network: Network, dtype: str) -> tuple[str, ...]:
    if network.stored in (None, dtype):
        return ()
    return (
        f"{network.name}: its file stores {network.stored}, and {dtype} was predicted: dtype says"
        " what it would be converted to",
    )


def schedule(arguments: Any) -> Patched:
    """The layers and tiles that the arguments of `cnn` stand for."""
    sides = {n: arguments.get(n) for n in ("resolution", "classes")}
    sizes = {n: None if v is None else count("cnn", n, v) for n, v in sides.items()}
    grid = count("cnn", "patches", arguments.get("patches", 1))
    split = arguments.get("split", 0)
    if isinstance(split, bool) or not isinstance(split, int) or split < 0:
        raise InputError(
            f"cnn: split: expected a number of layers, 0 or more, found {shown(split)}"
        )
    found = network(
        str(arguments.get("network", "mobilenetv2")),
        sizes["resolution"],
        float(arguments.get("width", 1.0)),
        sizes["classes"],
    )
    return patched(found, grid, split)
