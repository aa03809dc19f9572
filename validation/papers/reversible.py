"""A reversible 3D U-Net (arXiv 2104.09648): what fits into the memory of one that is not.

The abstract: images of 240 x 240 x 155 places in four channels; with reversible inverted
bottlenecks, in one memory, volumes up to 3 times as large, 25 % more depth, or up to twice the
channels. Sizes were not read. Ours, priors: four levels of 24 to 192 channels, two blocks each way
at each of them, each of two inverted bottlenecks on half the channels, y1 = x1 + F(x2) and y2 = x2
+ G(y1), which widen these twice; batch norms, a crop of 96 places a side. The same network is
trained in both ways; depth is of levels, and channels are those of all levels.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hwmodel.einsum.workloads.cnn import network
from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "3D U-Net, reversible"
LEVELS, WIDTH, BLOCKS, WIDER, SIDE = 4, 24, 2, 2, 96
VOLUMES = [1 + part / 6 for part in range(37)]
"""Times of the crop, in places of the coarsest level."""
INPUT = (240, 240, 155)
CHANNELS, CLASSES = 4, 4


class Listed:
    """Lines of a file of layers, and the name of the map so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.last = ""

    def put(self, kind: str, **fields: Any) -> str:
        """One layer more; the name of its map."""
        self.last = f"m{len(self.lines)}"
        said = {"kind": kind, "name": self.last, **fields}
        inside = ", ".join(f"{name}: {value}" for name, value in said.items())
        self.lines.append(f"  - {{{inside}}}")
        return self.last

    def bottleneck(self, half: str, beside: str, width: int, wider: int, **of: Any) -> str:
        """One inverted bottleneck of half the channels, added to the other half."""
        self.put("conv", filters=wider * width, reads=half, **of)
        for kind, fields in (("norm", {}), ("activation", {"function": "relu"})):
            self.put(kind, **fields, **of)
        self.put("depthwise", kernel=3, **of)
        for kind, fields in (("norm", {}), ("activation", {"function": "relu"})):
            self.put(kind, **fields, **of)
        self.put("conv", filters=width, **of)
        self.put("norm", **of)
        return self.put("add", **{"with": beside}, **of)

    def block(self, width: int, wider: int) -> None:
        """A reversible block."""
        read = self.last
        of: dict[str, Any] = {"block": f"b{len(self.lines)}", "reversible": "true"}
        first, second = (self.put("half", reads=read, **of) for _ in range(2))
        first = self.bottleneck(second, first, width // 2, wider, **of)
        second = self.bottleneck(first, second, width // 2, wider, **of)
        self.put("concat", reads=first, **{"with": second}, **of)


def listed(sides: tuple[int, ...], levels: int, width: int, blocks: int, wider: int) -> str:
    """The network as a file of layers."""
    made = Listed()
    made.put("conv", filters=width, kernel=3, block="first")
    skips: list[str] = []
    for level in range(levels):
        wide = width * 2**level
        if level:
            made.put("conv", filters=wide, kernel=2, stride=2, block=f"down {level}")
        for _ in range(blocks):
            made.block(wide, wider)
        skips.append(made.last)
    for level in reversed(range(levels - 1)):
        wide = width * 2**level
        made.put("transposed", filters=wide, kernel=2, stride=2, block=f"up {level}")
        made.put("add", **{"with": skips[level]}, block=f"up {level}")
        for _ in range(blocks):
            made.block(wide, wider)
    made.put("conv", filters=CLASSES, block="last")
    return f"resolution: {list(sides)}\nchannels: {CHANNELS}\nlayers:\n" + "\n".join(made.lines)


def tradeoffs(given: Given) -> tuple[Claim, ...]:
    """The largest volume, width and depth in the memory of the plain network."""
    wider = given("times a bottleneck is wider", WIDER, 1)
    blocks = given("blocks each way at a level", BLOCKS, 1)
    count = given("levels", LEVELS, LEVELS + 1)

    @cache
    def memory(volume: float, levels: int, width: int, way: str) -> float:
        """Bytes of a step; a volume is so many times the crop, in whole places of the coarsest."""
        coarsest = 2 ** (count - 1)
        deep = coarsest * round(volume * SIDE / coarsest)
        text = listed((deep, SIDE, SIDE), levels, width, blocks, wider)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "unet.yaml"
            path.write_text(text, encoding="utf-8")
            work: Any = training(path, global_batch=1, recompute=way)
        found: Any = predict(work, given.device("a100"))
        return float(found.memory_bytes)

    room = memory(1, count, WIDTH, "none")

    def most(sizes: Sequence[Any], needed: Callable[[Any], float]) -> float:
        """The largest of some sizes, in order, whose need has room."""
        return float(sizes[max(0, bisect(sizes, room, key=needed) - 1)])

    volume = most(VOLUMES, lambda size: memory(size, count, WIDTH, "reversible"))
    width = most((1, 2, 4), lambda times: memory(1, count, times * WIDTH, "reversible"))
    levels = most((count, count + 1), lambda levels: memory(1, levels, WIDTH, "reversible"))
    source, told = "abstract: up to", "sizes are priors, and what was trained is no limit of memory"
    return (
        Claim(SYSTEM, "volume in one memory, times", 3.0, volume, 0.2, source, within=told),
        Claim(SYSTEM, "channels in one memory, times, as a power of 2", 2.0, width, 0.0, source),
        Claim(
            *(SYSTEM, "levels in one memory, times", 1.25, levels / count, 0.0, source, "least"),
        ),
    )


def image(given: Given) -> tuple[Claim, ...]:
    """Numbers of an image."""
    text = listed((*INPUT[:2], given("planes", INPUT[2])), 1, WIDTH, 1, 1)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "unet.yaml"
        path.write_text(text, encoding="utf-8")
        read = network(str(path), None, 1.0, None)
    return (
        Claim(
            *(SYSTEM, "numbers of an image of BraTS", 35_712_000, read.image_elements, EXACT),
            "240 x 240 x 155 x 4",
            identity=True,
        ),
    )


PROGRAMS = (image, tradeoffs)
