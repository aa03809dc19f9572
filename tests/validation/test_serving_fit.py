"""Published throughput of an engine: how it is read, and how far the simulation of serving is."""

from functools import cache
from pathlib import Path

import pytest

from hwmodel.validation.serving_fit import Row, published, told

TABLES = Path(__file__).resolve().parents[3] / "shared/data/systems"

pytestmark = pytest.mark.skipif(not TABLES.is_dir(), reason="needs ../shared/data/systems")


@cache
def rows() -> tuple[Row, ...]:
    return tuple(published(TABLES))


def test_rows_are_runs_of_requests_of_one_length() -> None:
    """The first row: DeepSeek-R1 on 8 H200, data and expert parallel, 13,016 tokens a second."""
    first = rows()[0]
    assert (first.gpu, first.model, first.tokens_per_s) == ("h200", "deepseek-r1", 13016)
    assert first.parallel == {"dp": 8, "ep": 8}
    assert (first.input, first.output) == (1000, 1000)
    assert all(row.requests <= 3000 for row in rows())
    assert len(rows()) > 300


@pytest.mark.parametrize("gpu", ["h200", "gh200"])
def test_one_number_a_gpu_of_other_models_leaves_a_fifth(gpu: str) -> None:
    """Of every eighth row; that of more of them stands in docs/accuracy.md."""
    found = told(gpu, [row for row in rows() if row.gpu == gpu][::8])
    assert found.left_out < 0.25
    assert 0.8 < found.efficiency < 1.6
