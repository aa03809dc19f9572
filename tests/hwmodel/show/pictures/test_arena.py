"""The drawing of SRAM by layer."""

from pathlib import Path

from hwmodel.einsum.workloads.cnn import network
from hwmodel.einsum.workloads.patches import patched
from hwmodel.machines.mcu.libraries import library
from hwmodel.show.pictures.arena import draw


def test_a_schedule_is_drawn_with_and_without_patches(tmp_path: Path) -> None:
    words = network("mcunet-vww1", None, 1.0, None)
    for name, schedule in {"whole": patched(words), "tiled": patched(words, 2, 5)}.items():
        path = tmp_path / f"{name}.svg"
        draw(schedule, path, sram_bytes=64 * 1024)
        assert "</svg>" in path.read_text(encoding="utf-8")


def test_a_planned_arena_is_drawn_buffer_by_buffer(tmp_path: Path) -> None:
    """The image and 55 maps, each a block, and one for what kernels keep."""
    words = network("mcunet-vww1", None, 1.0, None)
    path = tmp_path / "plan.svg"
    draw(patched(words), path, sram_bytes=2**20, used=library("tflm"))
    text = path.read_text(encoding="utf-8")
    assert text.count('id="PolyCollection_') == 2 + len(words.layers)
