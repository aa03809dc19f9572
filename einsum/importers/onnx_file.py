"""ONNX files: the layers of a convolutional network, read from its graph.

The library `onnx` does the reading and infers shapes; it comes with the extra of that name. Maps
are batch x channels x height x width (a sequence is one column wide); the batch is left out, and
may be dynamic; a network whose maps have channels last is read through the transpositions that its
exporter wrote. What moves no arithmetic is folded away, and so are batch norms, constants and
rectifiers behind a layer with weights or a sum, as runtimes fuse them; quantised graphs are read by
their operators (QLinearConv) or as the products between QuantizeLinear and DequantizeLinear.
"""

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

from hwmodel.einsum.importers.chain import Chain, Map, Seen
from hwmodel.einsum.workloads.layer import WEIGHTED, Network
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.reading import bytes_of

MOST_BYTES = 2**31 - 1
"""Of a file: what a message of protobuf holds."""

MOVED = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Expand")
FOLDED = (
    *(*MOVED, "Identity", "Dropout", "Cast", "QuantizeLinear", "DequantizeLinear", "Pad"),
    "DynamicQuantizeLinear",
)
PRODUCTS = {
    **{"Conv": 1, "QLinearConv": 3, "ConvInteger": 1, "FusedConv": 1},
    **{"Gemm": 1, "MatMul": 1, "QLinearMatMul": 3, "MatMulInteger": 1, "QGemm": 3},
}
"""Operator -> which of its inputs has the weights."""
SUMS = {
    "Add": "add",
    "Sum": "add",
    "QLinearAdd": "add",
    "Mul": "multiply",
    "QLinearMul": "multiply",
    **dict.fromkeys(("Sub", "Div", "Max", "Min"), "add"),
}
JOINED = {
    "Concat": "concat",
    **dict.fromkeys(("QLinearConcat", "QLinearConcatV2"), "concat"),
    **dict.fromkeys(("Resize", "Upsample", "DepthToSpace", "SpaceToDepth"), "move"),
    **dict.fromkeys(("Split", "Slice", "Gather", "Tile"), "move"),
}
"""What copies maps, or parts of one, into another: the sums of a resize are left out."""
POOLS = {
    **{"AveragePool": "average", "QLinearAveragePool": "average", "MaxPool": "maximum"},
    **dict.fromkeys(("GlobalAveragePool", "QLinearGlobalAveragePool", "ReduceMean"), "mean"),
    **dict.fromkeys(("GlobalMaxPool", "ReduceMax", "ReduceSum"), "mean"),
}
RECTIFIERS = ("Relu", "Clip")
ACTIVATIONS = (
    *(*RECTIFIERS, "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu"),
    *("Softmax", "QLinearSigmoid", "QLinearSoftmax", "QLinearLeakyRelu", "LogSoftmax", "Gelu"),
    *("Selu", "Softplus", "Erf", "Sqrt", "Exp", "Abs", "Neg", "Pow", "Mish"),
)
SHAPES = ("Constant", "ConstantOfShape", "Shape", "Size")
"""Operators whose results are no maps."""
FORMATS = {1: "fp32", 2: "int8", 3: "int8", 5: "int16", 10: "fp16", 16: "bf16"}
"""Element type of ONNX -> format."""


def read(path: str | Path, resolution: int | None = None) -> Network:
    """The network in a file; `InputError` for a file that is none, `CoverageError` for operators.

    `resolution` is the height and width of the image where the file leaves them open. What a file
    says is kept by its content. Without the library `onnx` it raises `CoverageError` that names the
    extra.
    """
    try:
        import onnx  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ModuleNotFoundError:
        raise CoverageError(
            f"{path}: reading ONNX files needs the library onnx; pip install 'hwmodel[onnx]'"
        ) from None
    library: Any = onnx
    return _network(bytes_of(path, most=MOST_BYTES), str(path), library, resolution)


@lru_cache(maxsize=8)
def _network(data: bytes, path: str, library: Any, resolution: int | None) -> Network:
    """The network that the bytes of a file at `path` stand for."""
    try:
        model = library.load_model_from_string(data)
        opened = 0 if resolution is None else _sized(model.graph, resolution)
        model = library.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # of protobuf and of the inference, which share no class
        raise InputError(f"{path}: a damaged ONNX file: {str(error)[:200]}") from None
    if resolution is not None and not opened:
        raise InputError(f"{path}: resolution is the file's; give none")
    if not model.graph.node:
        raise InputError(f"{path}: expected an ONNX model, found a graph without operators")
    return _Reader(path, model.graph).network()


def _sized(graph: Any, resolution: int) -> int:
    """Give the sides of images that a graph leaves open a size; returns how many there are."""
    given = {held.name for held in graph.initializer}
    images = [value for value in graph.input if value.name not in given]
    sides = [side for value in images for side in value.type.tensor_type.shape.dim[2:]]
    opened = [side for side in sides if side.dim_value <= 0]
    for side in opened:
        side.dim_value = resolution
    for value in images:
        if opened and value.type.tensor_type.shape.dim[0].dim_value <= 0:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    for held in (*graph.value_info, *graph.output) if opened else ():  # worked out anew
        held.type.tensor_type.ClearField("shape")
    return len(opened)


class _Reader:
    def __init__(self, path: str, graph: Any) -> None:
        self.path, self.graph = path, graph
        known = (*graph.input, *graph.value_info, *graph.output)
        self.shapes: dict[str, list[int]] = {
            value.name: [int(side.dim_value) for side in value.type.tensor_type.shape.dim]
            for value in known
        }
        self.shapes |= {held.name: [int(side) for side in held.dims] for held in graph.initializer}
        self.constants = {held.name: int(held.data_type) for held in graph.initializer}
        """Tensors that are no maps, with the element type of what they are made of."""
        images = [value.name for value in graph.input if value.name not in self.constants]
        if len(images) != 1:
            raise CoverageError(f"{path}: expected a network with one input, found {len(images)}")
        self.chain = Chain(path, images[0], self.map(images[0]))

    def network(self) -> Network:
        for at, node in enumerate(self.graph.node):
            self.operator(node, f"{self.path}: operator {at}: {node.op_type}")
        return self.chain.network(Path(self.path).stem)

    def map(self, tensor: str) -> Map:
        """Height, width and channels; the batch, which may be unknown, is left out."""
        sides = self.shapes.get(tensor, [])[1:]
        if not sides or not all(side > 0 for side in sides):
            raise InputError(
                f"{self.path}: {tensor}: expected sizes that are known but for the batch, found"
                f" {self.shapes.get(tensor, 'none')}; export the model with fixed sizes, or say"
                " resolution=224 where its image's are left open"
            )
        if len(sides) == 3:
            return sides[1], sides[2], sides[0]
        return (sides[1], 1, sides[0]) if len(sides) == 2 else (1, 1, math.prod(sides))

    def operator(self, node: Any, where: str) -> None:
        read, name = [tensor for tensor in node.input if tensor], node.op_type
        written = node.output[0]
        maps = [tensor for tensor in read if self.chain.knows(tensor)]
        if name in SHAPES or (read and not maps and all(t in self.constants for t in read)):
            kept = [self.constants[tensor] for tensor in read if tensor in self.constants]
            self.constants |= dict.fromkeys(node.output, kept[0] if kept else 0)
            return
        sources = self.chain.sources(read, where)
        if name in PRODUCTS:
            self.product(node, read, sources, where)
        elif name in POOLS:
            self.pool(node, sources[0])
        elif name in JOINED:
            for each in filter(None, node.output):
                self.chain.add(each, JOINED[name], sources, self.map(each))
        elif name in SUMS and len(maps) > 1:
            wide = sorted(sources, key=lambda source: -math.prod(source.map))
            self.chain.add(written, SUMS[name], wide, self.map(written))
        elif self.folded(name, sources[0]):
            moved = name in MOVED and all(side > 0 for side in self.shapes.get(written, [0])[1:])
            self.chain.fold(written, sources[0], self.map(written) if moved else None)
        elif name in ("BatchNormalization", "InstanceNormalization", *SUMS):
            self.chain.add(written, "norm", sources, sources[0].map)
        elif name in ACTIVATIONS:
            self.chain.add(written, "activation", sources, sources[0].map)
        else:
            known = ", ".join((*PRODUCTS, *POOLS, *SUMS, *ACTIVATIONS, *JOINED, *FOLDED))
            raise CoverageError(f"{where} is not modelled; modelled are {known}")

    def folded(self, name: str, source: Seen) -> bool:
        """Whether an operator on one map is part of the layer that made it."""
        fused = name in (*RECTIFIERS, *SUMS, "BatchNormalization")
        return name in FOLDED or (fused and self.chain.kind(source) in (*WEIGHTED, "add"))

    def product(self, node: Any, read: list[str], sources: list[Seen], where: str) -> None:
        weight = node.input[PRODUCTS[node.op_type]]
        if weight not in self.constants:
            raise CoverageError(f"{where}: expected weights as one operand, found a map")
        if self.chain.stored is None:
            self.chain.stored = FORMATS.get(self.constants[weight])
        written, shape, source = node.output[0], self.shapes.get(weight, []), sources[0]
        made = self.shapes.get(written) or source.map[:2] != (1, 1) or len(shape) != 2
        by_row = node.op_type in ("Gemm", "QGemm") and self.number(node, "transB", 0)
        out = self.map(written) if made else (1, 1, shape[0 if by_row else 1])
        if "Conv" not in node.op_type:
            flat = len(self.shapes.get(read[0], [])) == 2
            self.chain.add(written, "linear" if flat else "dense", [source], out)
            return
        window, steps, gaps = (
            self.sides(node, *each)
            for each in (("kernel_shape", shape[2:]), ("strides", [1]), ("dilations", [1]))
        )
        groups, channels = self.number(node, "group"), source.map[2]
        kind = "depthwise" if groups == channels > 1 else "conv"
        own = 1 if kind == "depthwise" else groups
        self.chain.add(written, kind, [source], out, window, steps, own, gaps)

    def pool(self, node: Any, source: Seen) -> None:
        kind, written, channels = POOLS[node.op_type], node.output[0], source.map[2]
        if kind == "mean":
            known = all(side > 0 for side in self.shapes.get(written, [0])[1:])
            made = math.prod(self.map(written)) if known else channels
            if self.chain.kind(source) == "mean":
                self.chain.fold(written, source)
            else:
                self.chain.add(written, "mean", [source], (1, 1, made))
            return
        window, steps = self.sides(node, "kernel_shape", [1]), self.sides(node, "strides", [1])
        self.chain.add(written, kind, [source], self.map(written), window, steps)

    def sides(self, node: Any, name: str, default: list[int]) -> tuple[int, int]:
        """An attribute of one number for each direction; 1 across a sequence."""
        found = [list(each.ints) for each in node.attribute if each.name == name]
        sides = [int(side) for side in (found[0] if found else default)]
        one = 1 if name != "strides" and len(sides) == 1 and found else sides[-1]
        return sides[0], one

    def number(self, node: Any, name: str, default: int = 1) -> int:
        return next((int(each.i) for each in node.attribute if each.name == name), default)
