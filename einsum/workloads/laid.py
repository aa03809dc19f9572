"""Layers laid one after the other: what each makes of the shapes that it reads.

Maps keep their sides over the stride (padding fills up; `bare`, nothing is padded, and a window's
reach is lost), a transposed convolution makes them longer by it. A network on a volume has windows
of as many elements along the depth as down and across.
"""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.layer import FUNCTIONS, KINDS, POOLS, WINDOWED, Layer
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import LAYERS

SPATIAL = (*WINDOWED, "average", "maximum")
ENLARGING = ("transposed", "enlarge")
WHOLE = ("mean", "linear", "first")
"""Layers that leave one place."""
NUMBERS: Mapping[str, int | None] = {
    **{"filters": None, "kernel": 1, "stride": 1, "groups": 1, "heads": 1},
    **{"dilation": 1, "bare": 0},
}
Shape = tuple[int, int, int, int]
"""Depth, height, width and channels."""


class Laid:
    """Layers so far, and the map that is read next; `image` is what the first one reads."""

    def __init__(self, where: str, image: Shape) -> None:
        self.where, self.image = where, image
        self.layers: list[Layer] = []
        self.at, self.block, self.reversible = -1, 0, False

    def shape(self, at: int) -> Shape:
        """That of a layer's map (-1: the image)."""
        if at < 0:
            return self.image
        layer = self.layers[at]
        return layer.out_depth, layer.out_height, layer.out_width, layer.filters

    def put(
        self,
        kind: str,
        inputs: tuple[int, ...],
        numbers: Mapping[str, Any],
        function: str = "",
        bias: bool = False,
        name: str | None = None,
        narrow: bool = False,
    ) -> None:
        """One layer more, on the maps of these."""
        if kind not in KINDS or (function and function not in FUNCTIONS):
            known = KINDS if kind not in KINDS else FUNCTIONS
            raise UnknownNameError(f"kind of layer of {self.where}", function or kind, known)
        if len(self.layers) >= LAYERS:
            raise InputError(f"{self.where}: layers: expected {LAYERS} at most")
        depth, height, width, channels = self.shape(inputs[0])
        number = {key: int(value) for key, value in numbers.items() if value is not None}
        stride, kernel = number["stride"], number["kernel"]
        solid = self.image[0] > 1
        steps = (stride if solid else 1, stride, stride)
        out = tuple(
            -(-side // step) for side, step in zip((depth, height, width), steps, strict=True)
        )
        filters, dilation = number.get("filters", channels), number.get("dilation", 1)
        spatial = kind in SPATIAL
        if spatial and number.get("bare"):
            out = self._bare(kind, (depth, height, width), kernel, steps, dilation)
        if kind in ENLARGING:
            out = tuple(a * b for a, b in zip((depth, height, width), steps, strict=True))
        elif kind in WHOLE:
            out = (1, 1, 1)
        elif kind == "tokens":
            out, filters = (1, 1, height * width + filters), channels
        elif kind == "merge":
            filters = channels * stride**2
        elif kind == "half":
            filters = channels // 2
        elif kind == "concat":
            filters = sum(self.shape(at)[-1] for at in inputs)
        elif kind == "attention":
            filters = number.get("filters", channels // 3)
        strided = kind in (*SPATIAL, *POOLS, *ENLARGING, "merge")
        self.layers.append(
            Layer(
                *(name or f"{len(self.layers)}.{kind}{kernel if spatial else ''}", kind, inputs),
                *(height, width, channels, out[1], out[2], filters),
                kernel=kernel,
                stride=stride if strided else 1,
                dilations=(dilation, dilation),
                block=self.block,
                groups=number["groups"],
                heads=number["heads"],
                function=function,
                bias=bias,
                narrow=narrow,
                depth=depth,
                out_depth=out[0],
                kernel_depth=kernel if solid and spatial else 1,
                stride_depth=stride if solid and strided else 1,
                reversible=self.reversible,
            )
        )
        self.at = len(self.layers) - 1

    def _bare(
        self, kind: str, sides: tuple[int, ...], kernel: int, steps: tuple[int, ...], gap: int
    ) -> tuple[int, ...]:
        """Places of a window that never leaves its map."""
        taps = (kernel if self.image[0] > 1 else 1, kernel, kernel)
        left = [side - (each - 1) * gap for side, each in zip(sides, taps, strict=True)]
        if min(left) < 1:
            raise InputError(
                f"{self.where}: {len(self.layers)}.{kind}: expected a map of at least the window's"
                f" reach ({(kernel - 1) * gap + 1}), found {' x '.join(map(str, sides))}; pad it"
            )
        return tuple(-(-side // step) for side, step in zip(left, steps, strict=True))
