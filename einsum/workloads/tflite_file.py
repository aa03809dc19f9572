"""TFLite flatbuffers: the layers of an int8 network, read from its file.

The library `tflite` (generated from the schema of TensorFlow Lite) does the reading; it comes with
the extra `mcu`. What moves no arithmetic (quantize, reshape, transpose, pad before a convolution)
is folded away: a layer reads the map behind it. One subgraph, batch 1, maps as height x width x
channels, square kernels and equal strides, no dilation.
"""

import math
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

from hwmodel.einsum.workloads.layer import WEIGHTED, Layer, Network
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.reading import bytes_of

FOLDED = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "TRANSPOSE", "PAD", "SQUEEZE")
KINDS = {
    **{"CONV_2D": "conv", "DEPTHWISE_CONV_2D": "depthwise", "FULLY_CONNECTED": "linear"},
    **{"ADD": "add", "MUL": "multiply", "MEAN": "mean"},
    **{"AVERAGE_POOL_2D": "average", "MAX_POOL_2D": "maximum"},
    **dict.fromkeys(("LOGISTIC", "HARD_SWISH", "RELU", "RELU6", "SOFTMAX"), "activation"),
}
OPTIONS = {
    **{"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"},
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), "Pool2DOptions"),
}


def read(path: str | Path) -> Network:
    """The network in a file; `InputError` for a file that is none, `CoverageError` for operators.

    The file is read each time, since it may have been written anew; what it says is kept by its
    content. Without the library `tflite` it raises `CoverageError` that names the extra.
    """
    try:
        import tflite  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ModuleNotFoundError:
        raise CoverageError(
            f"{path}: reading TFLite files needs the library tflite; pip install 'hwmodel[mcu]'"
        ) from None
    library: Any = tflite
    return _layers(bytes_of(path), str(path), library)


@lru_cache(maxsize=8)
def _layers(data: bytes, path: str, library: Any) -> Network:
    """The network that the bytes of a file at `path` stand for."""
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise InputError(f"{path}: expected a TFLite flatbuffer (TFL3), found {data[4:8]!r}")
    try:
        return _Reader(library, path, library.Model.GetRootAsModel(data, 0)).network()
    except (IndexError, TypeError, AttributeError, ValueError, struct.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: a damaged TFLite file: {error or type(error)}") from None


class _Reader:
    def __init__(self, library: Any, path: str | Path, model: Any) -> None:
        self.library, self.path, self.model = library, path, model
        self.graph = model.Subgraphs(0)
        self.image = int(self.graph.InputsAsNumpy()[0])
        self.layers: list[Layer] = []
        self.made: dict[int, int] = {}
        """Tensor -> the layer that makes it; -1 the image."""

    def network(self) -> Network:
        self.made[self.image] = -1
        for at in range(self.graph.OperatorsLength()):
            self.operator(self.graph.Operators(at), f"{self.path}: operator {at}")
        height, width, channels = self.map(self.image)
        if not any(layer.kind in WEIGHTED for layer in self.layers):
            raise InputError(f"{self.path}: expected a network with weights, found none")
        return Network(Path(self.path).stem, height, width, channels, tuple(self.layers))

    def shape(self, tensor: int) -> list[int]:
        return [int(side) for side in self.graph.Tensors(tensor).ShapeAsNumpy()]

    def map(self, tensor: int) -> tuple[int, int, int]:
        """Height, width and channels; a vector is 1 x 1, and the batch of 1 is left out."""
        sides = self.shape(tensor)[1:]
        return (sides[0], sides[1], sides[2]) if len(sides) == 3 else (1, 1, math.prod(sides))

    def operator(self, node: Any, where: str) -> None:
        code = self.model.OperatorCodes(node.OpcodeIndex())
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = str(self.library.opcode2name(number))
        read = [int(tensor) for tensor in node.InputsAsNumpy()]
        written = int(node.OutputsAsNumpy()[0])
        sources = [self.made[tensor] for tensor in read if tensor in self.made]
        if not sources:
            raise CoverageError(f"{where}: {name} reads no map of the network")
        if name in FOLDED:
            self.made[written] = sources[0]
            return
        if name not in KINDS:
            known = ", ".join((*KINDS, *FOLDED))
            raise CoverageError(f"{where}: {name} is not modelled; modelled are {known}")
        kernel, stride = self.window(node, name, read, where)
        source = self.layers[sources[0]] if sources[0] >= 0 else None
        shape = (source.out_height, source.out_width, source.filters) if source else None
        height, width, channels = shape or self.map(self.image)
        last = self.layers[-1] if self.layers else None
        if name == "MEAN" and last and last.kind == "mean" and sources[0] == len(self.layers) - 1:
            self.made[written] = sources[0]  # one mean over both directions, done in two steps
            return
        out = (1, 1, channels) if name == "MEAN" else self.map(written)
        self.made[written] = len(self.layers)
        self.layers.append(
            Layer(
                *(f"{len(self.layers)}.{KINDS[name]}", KINDS[name], tuple(sources)),
                *(height, width, channels, *out),
                kernel=kernel,
                stride=stride,
            )
        )

    def window(self, node: Any, name: str, read: list[int], where: str) -> tuple[int, int]:
        """Kernel and stride of an operator, 1 and 1 where it has no window."""
        if name not in OPTIONS:
            return 1, 1
        options = getattr(self.library, OPTIONS[name])()
        table = node.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        strides = (options.StrideH(), options.StrideW())
        if name.endswith("POOL_2D"):
            sides = (options.FilterHeight(), options.FilterWidth())
        else:
            sides = tuple(self.shape(read[1])[1:3])
            dilations = (options.DilationHFactor(), options.DilationWFactor())
            if dilations != (1, 1):
                raise CoverageError(f"{where}: {name} is dilated by {dilations}; 1 is modelled")
        if sides[0] != sides[1] or strides[0] != strides[1]:
            raise CoverageError(
                f"{where}: {name} has a kernel of {sides} and strides of {strides}; equal sides"
                " are modelled"
            )
        return int(sides[0]), int(strides[0])
