"""Published throughput of an engine: how it is read, and how far the simulation of serving is."""

from functools import cache
from pathlib import Path

import pytest

from hwmodel.validation.serving_fit import Budgets, Row, published, told
from tests.thorough import thorough

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
    assert all(row.requests <= 30000 for row in rows())
    assert len(rows()) > 370


def test_budgets_are_those_of_the_benchmark() -> None:
    """Llama-3.1-405B in fp8 on 8 H200, 128 in and 2,048 out: 2.8 million tokens of cache.

    0.93 (8 x 150 - 410) GB / (258 kB x 2,176) = 1,309 sequences, rounded up by 256; a step takes
    1,309 (1 + 1 / 16) tokens, of which the least is 2,048.
    """
    (row, *_) = (
        each
        for each in rows()
        if (each.gpu, each.model, each.output) == ("h200", "llama-3.1-405b", 2048)
        and each.input == 128
    )
    assert Budgets.of(row) == Budgets(tokens=2048, sequences=1536)
    batch = next(each for each in rows() if each.batch == 896)
    assert Budgets.of(batch) == Budgets(tokens=32768, sequences=896)


@pytest.mark.parametrize(("gpu", "every"), [thorough(("h200", 31)), ("gh200", 8)])
def test_one_number_a_gpu_of_other_models_leaves_a_fifth(gpu: str, every: int) -> None:
    """Of few rows; that of all of them stands in docs/accuracy/engines.md."""
    found = told(gpu, [row for row in rows() if row.gpu == gpu][::every])
    assert found.left_out < 0.25
    assert 0.8 < found.efficiency < 1.6
