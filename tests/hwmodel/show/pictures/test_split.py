"""The picture of a split is written, with the crossovers of the model in it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.workloads.resnet import bottlefit
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.systems.split import Radio, cuts, splits, stack


def test_the_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from hwmodel.show.pictures.split import draw

    network = bottlefit(6)
    near, far = (
        predict(stack(network, "int8"), device(name), kernel=None)
        for name in ("raspberry-pi-4", "xeon-8380")
    )
    rates: Any = np.logspace(3, 9, 50)
    found = splits(near, far, cuts(network), Radio("link", rates, 1e-3), idle_w=3.0)
    path = tmp_path / "split.png"
    draw(found, 20, "a split", path)
    assert path.stat().st_size > 10_000
