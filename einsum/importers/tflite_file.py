"""TFLite flatbuffers: the layers of a network, read from its file.

The library `tflite` (generated from the schema of TensorFlow Lite) does the reading; it comes with
the extra `mcu`. What moves no arithmetic (quantize, reshape, transpose, pad before a convolution)
is folded away: a layer reads the map behind it, and knows how large a copy its file makes. One
subgraph, batch 1, maps as height x width x channels. Constants that are widened as they are loaded
(fp16 to fp32, sparse to dense) have the format that the file stores. A map that is resized or cut,
or whose places become channels, is copied: the sums of a bilinear resize are left out.
"""

import math
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

from hwmodel.einsum.importers.chain import Chain, Map
from hwmodel.einsum.workloads.layer import Network
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.reading import bytes_of

FOLDED = (
    *("QUANTIZE", "DEQUANTIZE", "RESHAPE", "TRANSPOSE", "PAD", "PADV2", "MIRROR_PAD", "SQUEEZE"),
    *("EXPAND_DIMS", "CAST"),
)
KINDS = {
    **{"CONV_2D": "conv", "DEPTHWISE_CONV_2D": "depthwise", "FULLY_CONNECTED": "linear"},
    **{"ADD": "add", "SUB": "add", "MUL": "multiply", "MEAN": "mean", "CONCATENATION": "concat"},
    "PACK": "concat",
    **{"AVERAGE_POOL_2D": "average", "MAX_POOL_2D": "maximum"},
    **dict.fromkeys(("LOGISTIC", "HARD_SWISH", "RELU", "RELU6", "SOFTMAX"), "activation"),
    **dict.fromkeys(("PRELU", "LEAKY_RELU", "ELU", "TANH", "RELU_N1_TO_1"), "activation"),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), "move"),
    **dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), "move"),
    **dict.fromkeys(("SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE"), "move"),
    **dict.fromkeys(("MAXIMUM", "MINIMUM", "DIV", "SQUARED_DIFFERENCE"), "add"),
    **dict.fromkeys(("REDUCE_MAX", "SUM"), "mean"),
    **dict.fromkeys(("RSQRT", "SQRT", "EXP", "ABS", "NEG", "GELU", "LOG_SOFTMAX"), "activation"),
}
OPTIONS = {
    **{"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"},
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), "Pool2DOptions"),
}
Sides = tuple[int, int]
"""Down and across."""
WEIGHTED = ("conv", "depthwise", "linear")
FORMATS = {"INT8": "int8", "UINT8": "int8", "INT16": "int16", "FLOAT32": "fp32", "FLOAT16": "fp16"}


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
        images = [int(tensor) for tensor in self.graph.InputsAsNumpy()]
        if len(images) != 1:
            raise CoverageError(f"{path}: expected a network with one input, found {len(images)}")
        image = images[0]
        self.constants: dict[int, int] = {}
        """A constant that was widened -> the tensor that the file stores."""
        self.chain = Chain(str(path), image, self.map(image))

    def network(self) -> Network:
        for at in range(self.graph.OperatorsLength()):
            self.operator(self.graph.Operators(at), f"{self.path}: operator {at}")
        return self.chain.network(Path(self.path).stem)

    def shape(self, tensor: int) -> list[int]:
        return [int(side) for side in self.graph.Tensors(tensor).ShapeAsNumpy()]

    def map(self, tensor: int) -> Map:
        """Height, width and channels; a vector is 1 x 1, and the batch of 1 is left out."""
        sides = self.shape(tensor)[1:]
        if len(sides) == 2:
            return sides[0], 1, sides[1]
        return (sides[0], sides[1], sides[2]) if len(sides) == 3 else (1, 1, math.prod(sides))

    def operator(self, node: Any, where: str) -> None:
        chain = self.chain
        code = self.model.OperatorCodes(node.OpcodeIndex())
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = str(self.library.opcode2name(number))
        read = [int(tensor) for tensor in node.InputsAsNumpy()]
        written, *others = (int(tensor) for tensor in node.OutputsAsNumpy())
        if name == "CUSTOM":
            name = f"CUSTOM {(code.CustomCode() or b'?').decode(errors='replace')}"
        if name == "SHAPE" or (read and all(self.constant(tensor) for tensor in read)):
            self.constants[written] = self.constants.get(read[0], read[0])
            return
        sources = chain.sources(read, f"{where}: {name}")
        if name in FOLDED:
            turned = name == "TRANSPOSE" and sources[0].layer >= 0  # channels of a map stay last
            out = None if turned else self.map(written)
            chain.fold(written, sources[0], out, copied=True)
            return
        if name not in KINDS:
            known = ", ".join((*KINDS, *FOLDED))
            raise CoverageError(f"{where}: {name} is not modelled; modelled are {known}")
        window, steps, gaps = self.window(node, name, read)
        last = len(chain.layers) - 1
        kind = KINDS[name]
        if kind == "mean" and chain.kind(sources[0]) == "mean" and sources[0].layer == last:
            chain.fold(written, sources[0])  # one mean over both directions, done in two steps
            return
        if kind in WEIGHTED and chain.stored is None:
            chain.stored = self.format(read[1])
        if kind == "linear" and math.prod(self.shape(read[1])[1:]) < math.prod(sources[0].map):
            kind = "dense"
        out = (1, 1, sources[0].map[2]) if kind == "mean" else self.map(written)
        groups = sources[0].map[2] // self.shape(read[1])[3] if kind == "conv" else 1
        chain.add(written, kind, sources, out, window, steps, groups, gaps)
        for other in others:
            chain.add(other, kind, sources, self.map(other))

    def constant(self, tensor: int) -> bool:
        """Whether a tensor is of numbers that the file holds, or none (-1)."""
        if tensor < 0 or tensor in self.constants:
            return True
        return bool(self.model.Buffers(self.graph.Tensors(tensor).Buffer()).DataLength())

    def format(self, tensor: int) -> str | None:
        """The format of a tensor as it is stored, where it is one that we know by a name."""
        number = int(self.graph.Tensors(self.constants.get(tensor, tensor)).Type())
        found = (word for word in FORMATS if getattr(self.library.TensorType, word) == number)
        return next((FORMATS[word] for word in found), None)

    def window(self, node: Any, name: str, read: list[int]) -> tuple[Sides, Sides, Sides]:
        """Window, strides and dilations of an operator, rows and columns; 1 without a window."""
        if name not in OPTIONS:
            return (1, 1), (1, 1), (1, 1)
        options = getattr(self.library, OPTIONS[name])()
        table = node.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        steps = (int(options.StrideH()), int(options.StrideW()))
        if name.endswith("POOL_2D"):
            return (int(options.FilterHeight()), int(options.FilterWidth())), steps, (1, 1)
        gaps = int(options.DilationHFactor()), int(options.DilationWFactor())
        high, wide = self.shape(read[1])[1:3]
        return (high, wide), steps, gaps
