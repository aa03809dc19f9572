"""A picture of machine, time and energy is written, small components together."""

from pathlib import Path

import hwmodel as hw
from hwmodel.show.pictures.spatial import draw


def test_a_picture_is_written(tmp_path: Path) -> None:
    machine = hw.device("fusemax")
    work = hw.workloads.attention(batch=1, heads=2, queries=1024, keys=1024, head_dim=64)
    draw(hw.predict(work, on=machine), machine, tmp_path / "fusemax.png")
    assert (tmp_path / "fusemax.png").stat().st_size > 10_000
