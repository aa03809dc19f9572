"""TFLite files: the published example is the network that is shipped; damaged files are refused."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hwmodel.einsum.workloads.cnn import cnn, network
from hwmodel.quantity.errors import CoverageError, InputError

EXAMPLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "edge" / "vww.tflite"
FACES = Path(__file__).parent / "files" / "face_detection_short_range.tflite"
LIBRARY = pytest.mark.skipif(
    importlib.util.find_spec("tflite") is None, reason="needs the extra mcu (library tflite)"
)
DATA = pytest.mark.skipif(not EXAMPLE.is_file(), reason="needs ../shared/data/edge/vww.tflite")


@LIBRARY
@DATA
def test_the_file_holds_the_shipped_network() -> None:
    read, shipped = network(str(EXAMPLE), None, 1.0, None), network("mcunet-vww1", None, 1.0, None)
    assert (read.macs, read.weights) == (shipped.macs, shipped.weights)
    for ours, theirs in zip(read.layers, shipped.layers, strict=True):
        for name in ("kind", "inputs", "height", "channels", "out_height", "filters", "kernel"):
            assert getattr(ours, name) == getattr(theirs, name), (ours.name, name)


@LIBRARY
@DATA
def test_a_file_is_a_workload(tmp_path: Path) -> None:
    assert len(cnn(str(EXAMPLE)).stages) == 56
    with pytest.raises(InputError, match=r"resolution, width and classes are the file's"):
        cnn(str(EXAMPLE), resolution=64)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(EXAMPLE.read_bytes()[:300])
    with pytest.raises(InputError, match=r"damaged TFLite file"):
        cnn(str(cut))


@LIBRARY
def test_what_is_no_flatbuffer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.tflite"
    path.write_text("not a network")
    with pytest.raises(InputError, match=r"expected a TFLite flatbuffer"):
        cnn(str(path))
    with pytest.raises(InputError, match=r"cannot be read"):
        cnn(str(tmp_path / "absent.tflite"))


Node = tuple[str, list[int], int, int]
"""Operator, tensors read, tensor written, stride."""


def flatbuffer(shapes: list[list[int]], nodes: list[Node], inputs: Sequence[int] = (0,)) -> bytes:
    """A network on tensor 0 (or `inputs`), written by the library's own builders."""
    lite: Any = importlib.import_module("tflite")
    to: Any = importlib.import_module("flatbuffers").Builder(1024)

    def numbers(values: list[int]) -> int:
        to.StartVector(4, len(values), 4)
        for value in reversed(values):
            to.PrependInt32(value)
        return int(to.EndVector())

    def tables(made: list[int]) -> int:
        to.StartVector(4, len(made), 4)
        for offset in reversed(made):
            to.PrependUOffsetTRelative(offset)
        return int(to.EndVector())

    def tensor(shape: list[int]) -> int:
        sides = numbers(shape)
        lite.TensorStart(to)
        lite.TensorAddShape(to, sides)
        return int(lite.TensorEnd(to))

    def node(at: int, read: list[int], written: int, name: str, stride: int) -> int:
        kind = {"CONV_2D": "Conv2DOptions", "MAX_POOL_2D": "Pool2DOptions"}.get(name)
        reads, outputs = numbers(read), numbers([written])
        options = 0
        if kind:
            getattr(lite, f"{kind}Start")(to)
            for side in "HW":
                getattr(lite, f"{kind}AddStride{side}")(to, stride)
            if name == "MAX_POOL_2D":
                lite.Pool2DOptionsAddFilterHeight(to, 2)
                lite.Pool2DOptionsAddFilterWidth(to, 2)
            options = int(getattr(lite, f"{kind}End")(to))
        lite.OperatorStart(to)
        lite.OperatorAddOpcodeIndex(to, at)
        lite.OperatorAddInputs(to, reads)
        lite.OperatorAddOutputs(to, outputs)
        if kind:
            lite.OperatorAddBuiltinOptionsType(to, getattr(lite.BuiltinOptions, kind))
            lite.OperatorAddBuiltinOptions(to, options)
        return int(lite.OperatorEnd(to))

    def code(name: str) -> int:
        lite.OperatorCodeStart(to)
        lite.OperatorCodeAddDeprecatedBuiltinCode(to, getattr(lite.BuiltinOperator, name))
        return int(lite.OperatorCodeEnd(to))

    tensors = tables([tensor(shape) for shape in shapes])
    made = [node(at, read, out, name, step) for at, (name, read, out, step) in enumerate(nodes)]
    operators, images = tables(made), numbers([*inputs])
    lite.BufferStart(to)  # of no data: that of every tensor
    buffers = tables([int(lite.BufferEnd(to))])
    lite.SubGraphStart(to)
    lite.SubGraphAddTensors(to, tensors)
    lite.SubGraphAddInputs(to, images)
    lite.SubGraphAddOperators(to, operators)
    graphs = tables([int(lite.SubGraphEnd(to))])
    codes = tables([code(name) for name, *_ in nodes])
    lite.ModelStart(to)
    lite.ModelAddVersion(to, 3)
    lite.ModelAddOperatorCodes(to, codes)
    lite.ModelAddSubgraphs(to, graphs)
    lite.ModelAddBuffers(to, buffers)
    to.Finish(lite.ModelEnd(to), file_identifier=b"TFL3")
    return bytes(to.Output())


MAPS = [[1, 8, 8, 3], [4, 3, 3, 3], [1, 4, 4, 4], [1, 2, 2, 4], [1, 16], [5, 16], [1, 5], [1, 2]]
NODES: list[Node] = [
    ("CONV_2D", [0, 1], 2, 2),
    ("MAX_POOL_2D", [2], 3, 2),
    ("RESHAPE", [3, 7], 4, 0),
    ("FULLY_CONNECTED", [4, 5], 6, 0),
]
"""3 x 3 convolution by twos, maximum of 2 x 2, then 5 classes of 16 numbers."""


@LIBRARY
def test_a_small_network_by_hand(tmp_path: Path) -> None:
    """4 x 4 x 4 results of 27 products, and 5 of 16; 108 and 80 weights."""
    path = tmp_path / "small.tflite"
    path.write_bytes(flatbuffer(MAPS, NODES))
    read = network(str(path), None, 1.0, None)
    assert [layer.kind for layer in read.layers] == ["conv", "maximum", "linear"]
    conv, pool, linear = read.layers
    assert (conv.height, conv.channels, conv.out_height, conv.filters) == (8, 3, 4, 4)
    assert (conv.kernel, conv.stride, conv.inputs) == (3, 2, (-1,))
    assert (pool.kernel, pool.stride, pool.inputs, pool.out_width) == (2, 2, (0,), 2)
    assert linear.inputs == (1,)
    assert read.macs == 64 * 27 + 5 * 16
    assert read.weights == 4 * 27 + 5 * 16


@LIBRARY
def test_an_operator_off_the_path_or_unknown_is_named(tmp_path: Path) -> None:
    path = tmp_path / "off.tflite"
    path.write_bytes(flatbuffer(MAPS, [*NODES, ("RELU", [7], 6, 0)]))
    with pytest.raises(CoverageError, match=r"operator 4: RELU reads no map of the network"):
        cnn(str(path))
    path = tmp_path / "unknown.tflite"
    path.write_bytes(flatbuffer(MAPS, [*NODES, ("COS", [6], 7, 0)]))
    with pytest.raises(CoverageError, match=r"operator 4: COS is not modelled"):
        cnn(str(path))
    path = tmp_path / "weightless.tflite"
    path.write_bytes(flatbuffer(MAPS, [("RELU", [0], 2, 0)]))
    with pytest.raises(InputError, match="expected a network with weights"):
        cnn(str(path))


@LIBRARY
def test_a_face_detector_is_read_whose_weights_are_widened_as_they_are_loaded() -> None:
    """The numbers that the file holds in fp16 are the weights and one bias a filter, no more."""
    read = network(str(FACES), None, 1.0, None)
    assert read.stored == "fp16"
    kinds = [layer.kind for layer in read.layers]
    assert (kinds.count("conv"), kinds.count("depthwise"), kinds.count("concat")) == (21, 16, 2)
    lite: Any = importlib.import_module("tflite")
    model = lite.Model.GetRootAsModel(FACES.read_bytes(), 0)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(at) for at in range(graph.TensorsLength())]
    narrow = [each for each in tensors if each.Type() == lite.TensorType.FLOAT16]
    held = sum(model.Buffers(each.Buffer()).DataLength() // 2 for each in narrow)
    filters = sum(layer.filters for layer in read.layers if layer.kind in ("conv", "depthwise"))
    assert read.weights + filters == held
    assert cnn(str(FACES), dtype="fp16").stages


@LIBRARY
def test_what_moves_places_is_copied_and_joined(tmp_path: Path) -> None:
    maps = [*MAPS[:3], [1, 8, 8, 4], [1, 8, 8, 7], [1, 4, 4, 28]]
    nodes: list[Node] = [
        NODES[0],
        ("RESIZE_BILINEAR", [2], 3, 0),
        ("CONCATENATION", [3, 0], 4, 0),
        ("SPACE_TO_DEPTH", [4], 5, 0),
    ]
    path = tmp_path / "moved.tflite"
    path.write_bytes(flatbuffer(maps, nodes))
    _, wide, joined, deep = network(str(path), None, 1.0, None).layers
    assert [wide.kind, joined.kind, deep.kind] == ["move", "concat", "move"]
    assert (wide.height, wide.out_height, wide.filters) == (4, 8, 4)
    assert (joined.inputs, joined.filters) == ((1, -1), 7)
    assert (deep.out_width, deep.filters) == (4, 28)


@LIBRARY
def test_a_second_input_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.tflite"
    path.write_bytes(flatbuffer(MAPS, NODES, inputs=[0, 7]))
    with pytest.raises(CoverageError, match="expected a network with one input, found 2"):
        cnn(str(path))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(CoverageError, match=r"pip install 'hwmodel\[mcu\]'"):
        cnn("absent-without-library.tflite")


@LIBRARY
@DATA
def test_a_file_that_is_written_anew_answers_anew(tmp_path: Path) -> None:
    """The last weights of a file under the same path: 2 classes, then damaged, then 2 again."""
    path = tmp_path / "net.tflite"
    path.write_bytes(EXAMPLE.read_bytes())
    before = network(str(path), None, 1.0, None)
    path.write_text("not a network")
    with pytest.raises(InputError, match=r"expected a TFLite flatbuffer"):
        network(str(path), None, 1.0, None)
    path.write_bytes(EXAMPLE.read_bytes())
    assert network(str(path), None, 1.0, None) == before
