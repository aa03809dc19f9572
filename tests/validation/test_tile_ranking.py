"""Tiles ranked without running them, against measured menus."""

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device, load_calibration
from hwmodel.validation.calibrate import PRIORS
from hwmodel.validation.tile_ranking import losses

WITHIN = 0.03
"""How much slower the tile ranked first may be than the best measured one, on average."""


@pytest.mark.thorough
def test_the_first_of_a_measured_menu_is_near_its_best() -> None:
    hardware = device("h200").model_copy(update={"calibration": load_calibration(PRIORS)})
    found = losses("h200", hardware)
    assert len(found) >= 30
    assert min(found) >= 0
    assert float(np.mean(found)) <= WITHIN
