"""ONNX files: published networks are the shipped ones, small graphs by hand, what is refused."""

import importlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.cnn import network
from hwmodel.quantity.errors import CoverageError, InputError

LIBRARY = pytest.mark.skipif(
    importlib.util.find_spec("onnx") is None, reason="needs the extra onnx (library onnx)"
)


@LIBRARY
@pytest.mark.parametrize("name", ["resnet50", "vgg19", "densenet121"])
def test_graphs_that_come_with_the_library_are_the_shipped_networks(name: str) -> None:
    """Exported elsewhere, with weights left out; products and weights are those of our layers."""
    onnx: Any = importlib.import_module("onnx")
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    read = network(str(folder / f"light_{name}.onnx"), None, 1.0, None)
    shipped = network(name, None, 1.0, None)
    assert (read.macs, read.weights) == (shipped.macs, shipped.weights)


@LIBRARY
@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_sides_that_a_file_leaves_open_are_said_by_the_user(name: str, tmp_path: Path) -> None:
    onnx: Any = importlib.import_module("onnx")
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    model = onnx.load(folder / f"light_{name}.onnx")
    weights = {held.name for held in model.graph.initializer}
    (image,) = (each for each in model.graph.input if each.name not in weights)
    for side in image.type.tensor_type.shape.dim[2:]:
        side.dim_param = "side"
    path = str(tmp_path / f"{name}.onnx")
    onnx.save(model, path)
    with pytest.raises(InputError, match="or say resolution=224"):
        network(path, None, 1.0, None)
    read, shipped = network(path, 224, 1.0, None), network(name, None, 1.0, None)
    assert (read.macs, read.weights) == (shipped.macs, shipped.weights)
    with pytest.raises(InputError, match="resolution is the file's"):
        network(str(folder / f"light_{name}.onnx"), 224, 1.0, None)


def written(path: Path, nodes: list[tuple[str, list[str], dict[str, Any]]], **sizes: Any) -> str:
    """A graph on x; each node writes the tensor of its number, weights are named by their shape."""
    onnx: Any = importlib.import_module("onnx")
    to: Any = importlib.import_module("onnx.helper")
    image = sizes.get("image", ["batch", 3, 8, 8])
    made: list[Any] = []
    held: dict[str, Any] = {}
    for at, (kind, read, attributes) in enumerate(nodes):
        said = {name: value for name, value in attributes.items() if name != "also"}
        made.append(to.make_node(kind, read, [str(at), *attributes.get("also", [])], **said))
        for name in read:
            if name.startswith("w"):
                shape = [int(side) for side in name[1:].split("x")]
                count = 1
                for side in shape:
                    count *= side
                number = sizes.get("format", onnx.TensorProto.FLOAT)
                held[name] = to.make_tensor(name, number, shape, [0] * count)
    graph = to.make_graph(
        made,
        "net",
        [to.make_tensor_value_info("x", onnx.TensorProto.FLOAT, image)],
        [to.make_tensor_value_info(str(len(nodes) - 1), onnx.TensorProto.FLOAT, None)],
        list(held.values()),
    )
    onnx.save(to.make_model(graph, opset_imports=[to.make_opsetid("", 17)]), path)
    return str(path)


SMALL: list[tuple[str, list[str], dict[str, Any]]] = [
    ("Conv", ["x", "w4x3x3x1", "w4"], {"strides": [2, 1], "kernel_shape": [3, 1]}),
    ("BatchNormalization", ["0", "w4", "w4", "w4", "w4"], {}),
    ("Relu", ["1"], {}),
    ("Conv", ["2", "w4x1x3x3"], {"group": 4, "pads": [1, 1, 1, 1]}),
    ("Sigmoid", ["3"], {}),
    ("Mul", ["3", "4"], {}),
    ("Add", ["2", "5"], {}),
    ("MaxPool", ["6"], {"kernel_shape": [3, 2], "strides": [3, 2]}),
    ("Flatten", ["7"], {}),
    ("Gemm", ["8", "w5x16", "w5"], {"transB": 1}),
]
"""3 x 1 by steps of 2 and 1 (3 x 8 x 4), depthwise, a gate, a sum, a pool (1 x 4 x 4), 5 classes"""


@LIBRARY
def test_a_small_network_by_hand(tmp_path: Path) -> None:
    read = network(written(tmp_path / "small.onnx", SMALL), None, 1.0, None)
    kinds = ["conv", "depthwise", "activation", "multiply", "add", "maximum", "linear"]
    assert [layer.kind for layer in read.layers] == kinds
    conv, deep, gate, times, both, pool, linear = read.layers
    assert (conv.window, conv.steps, conv.out_height, conv.out_width) == ((3, 1), (2, 1), 3, 8)
    assert (deep.inputs, gate.inputs, times.inputs) == ((0,), (1,), (1, 2))
    assert (both.inputs, pool.window, pool.out_width) == ((0, 3), (3, 2), 4)
    assert linear.inputs_elements == 16
    assert read.macs == 24 * 4 * 9 + 24 * 4 * 9 + 5 * 16
    assert read.stored == "fp32"
    found = hw.predict(hw.workloads.cnn(str(tmp_path / "small.onnx")), on="stm32h743")
    assert any("its file stores fp32, and int8 was predicted" in told for told in found.warnings)


LAST: list[tuple[str, list[str], dict[str, Any]]] = [
    ("Transpose", ["x"], {"perm": [0, 3, 1, 2]}),
    ("Conv", ["0", "w4x3x3x3"], {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
    ("Split", ["1"], {"axis": 1, "also": ["half"]}),
    ("Concat", ["half", "2"], {"axis": 1}),
    ("Transpose", ["3"], {"perm": [0, 2, 3, 1]}),
    ("ReduceMean", ["4"], {"axes": [1, 2], "keepdims": 0}),
    ("MatMul", ["5", "w4x2"], {}),
]
"""6 x 8 x 3 with channels last, a window of 5 x 5 of which 9 taps count, halves that change places,
the mean of each channel, 2 classes"""


@LIBRARY
def test_copies_and_channels_last_are_answered_on_a_microcontroller(tmp_path: Path) -> None:
    path = tmp_path / "last.onnx"
    made = hw.workloads.cnn(written(path, LAST, image=[1, 6, 8, 3]))
    assert made.layers is not None
    read = made.layers.network
    assert (read.height, read.width, read.channels) == (6, 8, 3)
    assert [layer.kind for layer in read.layers] == [
        *("conv", "move", "move", "concat", "mean", "linear")
    ]
    assert read.macs == 48 * 4 * 27 + 4 * 2
    assert read.layers[0].needs(6, 8) == (10, 12)
    twos = replace(read.layers[0], stride=2, out_height=3, out_width=4)
    assert (twos.needs(3, 4), twos.touched.needs(3, 4)) == ((9, 11), (5, 6))  # every other place
    assert hw.predict(twos.cascade("int8"), on="peer-a3").time_s > 0
    found = hw.predict(made, on="stm32h743")
    rows = {row["layer"]: row["sram_bytes"] for row in found.by_layer}
    assert rows["1.move"] == 48 * (4 + 2)  # the whole map, and half of it
    assert rows["3.concat"] == 48 * (2 + 2 + 4)
    (joined,) = (part for part in found.parts if part.name == "3.concat")
    assert joined.counts.read["sram"] == joined.counts.written["sram"] == 48 * 4
    assert 0 < float(joined.time_s) < float(found.parts[1].time_s)


@LIBRARY
def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_text("not a network")
    with pytest.raises(InputError, match="a damaged ONNX file"):
        network(str(path), None, 1.0, None)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="a graph without operators"):
        network(str(path), None, 1.0, None)
    with pytest.raises(CoverageError, match="operator 0: LRN is not modelled"):
        network(written(path, [("LRN", ["x"], {"size": 3})]), None, 1.0, None)
    with pytest.raises(CoverageError, match="MatMul: expected weights as one operand"):
        network(written(path, [("MatMul", ["x", "x"], {})]), None, 1.0, None)
    with pytest.raises(InputError, match="x: expected sizes that are known but for the batch"):
        network(written(path, SMALL, image=[1, 3, "height", 8]), None, 1.0, None)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(CoverageError, match=r"pip install 'hwmodel\[onnx\]'"):
        network("absent.onnx", None, 1.0, None)
