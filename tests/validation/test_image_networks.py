"""Throughputs of image networks that others measured, on a GPU that nobody here ever had."""

from pathlib import Path

import numpy as np
import pytest

from hwmodel.validation.image_networks import (
    Compared,
    compared,
    median_error,
    rank_correlation,
    report,
)

TABLE = Path(__file__).resolve().parents[3] / "shared/data/timm/rtx4090_infer_amp_nchw.csv"
HEADER = "model,infer_img_size,infer_samples_per_sec,infer_batch_size"


def made(*pairs: tuple[float, float]) -> list[Compared]:
    return [Compared(f"n{n}", m, p, p / 2, p * 2) for n, (m, p) in enumerate(pairs)]


def test_median_and_ranks_by_hand() -> None:
    found = made((1, 1.1), (2, 1.8), (4, 2.0), (3, 3.0))
    assert median_error(found) == pytest.approx(0.1)  # of 0.1, 0.1, 0.5 and 0
    assert rank_correlation(found) == pytest.approx(0.8)  # 1 - 6 (0 + 0 + 1 + 1) / (4 x 15)
    assert "50.0%" not in report(found)
    assert "100% inside" in report(found)


def test_networks_that_are_not_known_at_their_size_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(
        f"{HEADER}\nresnet18,224,1000,8\nnobody_18,224,1000,8\nmixer_b16_224,96,1000,8\n",
        encoding="utf-8",
    )
    (found,) = compared(path, "h200")
    assert (found.name, found.measured_s) == ("resnet18", 0.001)


@pytest.mark.thorough
@pytest.mark.skipif(not TABLE.is_file(), reason="needs ../shared/data/timm")
def test_networks_on_an_rtx_4090_by_torch_are_off_by_less_than_a_quarter(tmp_path: Path) -> None:
    """Every twelfth row of the table."""
    head, *lines = TABLE.read_text(encoding="utf-8").splitlines(keepends=True)
    some = tmp_path / "some.csv"
    some.write_text("".join((head, *lines[::12])), encoding="utf-8")
    found = tuple(compared(some))
    assert len(found) > 30
    assert median_error(found) <= 0.25
    assert rank_correlation(found) >= 0.95
    assert np.mean([each.inside for each in found]) >= 0.9
