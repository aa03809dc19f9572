"""Published streams at given rates: how they are read, and how far serving is from them."""

from pathlib import Path

import numpy as np
import pytest

from hwmodel.validation.serving_qps import Row, published, report

TABLES = Path(__file__).resolve().parents[3] / "shared/data/systems"

pytestmark = pytest.mark.skipif(not TABLES.is_dir(), reason="needs ../shared/data/systems")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(published(TABLES))


def test_rows_that_could_not_keep_up_are_told_apart(rows: list[Row]) -> None:
    """The first: 2 of 2 a second at 62 and 21 ms; the third kept half of 32 a second."""
    first, _, third = rows[:3]
    assert (first.model, first.gpu, first.tp, first.requests) == ("llama-3.1-70b", "h100", 4, 500)
    assert (first.ttft_s, first.between_s, first.tokens_per_s) == (0.062, 0.021, 498)
    assert first.settles
    assert not third.settles
    assert not next(row for row in rows if row.rate_per_s == float("inf")).settles


def test_streams_that_settle_wait_about_as_long_as_published(rows: list[Row]) -> None:
    """Of an 8B model on an H200, with nothing fitted."""
    mine = [r for r in rows if (r.model, r.gpu) == ("llama-3.1-8b", "h200") and r.settles]
    assert len(mine) == 6
    mine = mine[::2]
    ratios = np.array([row.ratios() for row in mine])
    assert np.mean(np.abs(ratios[:, 0] - 1)) < 0.12  # 500 requests are few for a mean wait
    assert np.mean(np.abs(ratios[:, 1] - 1)) < 0.15
    assert 0.85 < np.median(ratios[:, 2]) < 1.1
    told = list(report(mine))
    assert told[2].startswith("| llama-3.1-8b | h200 | 3 | 3 | ")
