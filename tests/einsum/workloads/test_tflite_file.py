"""TFLite files: the published example is the network that is shipped; damaged files are refused."""

import importlib.util
import sys
from pathlib import Path

import pytest

from hwmodel.einsum.workloads.cnn import cnn, network
from hwmodel.errors import CoverageError, InputError

EXAMPLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "edge" / "vww.tflite"
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
