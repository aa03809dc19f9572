"""The table of a sweep: fronts, best rows and filters, in memory and part by part."""

from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.sweeps.plan import PIECE
from hwmodel.sweeps.run import sweep
from hwmodel.sweeps.table import Sweep

ROWS = polars.DataFrame(
    {
        "on": ["a", "a", "b", "b", "b"],
        "time_s": [3.0, 1.0, 2.0, 2.0, None],
        "energy_j": [1.0, 4.0, 2.0, 2.0, 0.1],
        "tokens_per_s": [1.0, 3.0, 3.0, 2.0, 9.0],
    }
)


@pytest.fixture(params=["whole", "parts"])
def table(request: pytest.FixtureRequest) -> Sweep:
    if request.param == "whole":
        return Sweep((ROWS.lazy(),))
    return Sweep(tuple(ROWS[i : i + 1].lazy() for i in range(len(ROWS))))


def rows(found: Sweep) -> list[Any]:
    return found.table.rows()


def test_a_front_has_less_of_some_and_more_of_others(table: Sweep) -> None:
    assert rows(table.pareto("time_s", "energy_j")) == ROWS.rows()[:4]
    assert rows(table.pareto("time_s", most=["tokens_per_s"])) == [ROWS.row(1)]
    assert rows(table.pareto("energy_j")) == [ROWS.row(4)]


def test_the_best_row_of_all_or_of_each_group(table: Sweep) -> None:
    assert rows(table.best("time_s")) == [ROWS.row(1)]
    assert rows(table.best("time_s", by=["on"])) == [ROWS.row(1), ROWS.row(2)]
    assert rows(table.best("tokens_per_s", most=True)) == [ROWS.row(4)]
    assert rows(table.filter("energy_j < 3", "time_s > 0").best("time_s")) == [ROWS.row(2)]


def test_filters_are_sql_or_polars(table: Sweep) -> None:
    both = table.filter("on = 'b'").filter(polars.col("time_s") > 1)
    assert rows(both) == ROWS.rows()[2:4]
    assert len(both) == 2


def test_units_are_in_the_names(table: Sweep) -> None:
    assert table.units == {"on": None, "time_s": "s", "energy_j": "j", "tokens_per_s": "per_s"}


def microseconds(M: Any, s: int = 0) -> dict[str, Any]:
    return {"time_s": M / 1e6}


def test_a_column_named_like_a_unit_has_none() -> None:
    found = sweep(microseconds, M=[1], s=hw.each([3]), where="s > 0")
    assert found.units == {"M": None, "s": None, "time_s": "s", "refused": None}


def test_a_print_out_shows_units_and_how_much_is_left_out() -> None:
    text = str(sweep(microseconds, M=range(1, 31)))
    assert text.startswith("30 rows")
    assert "20 us" in text
    assert "21 us" not in text
    assert text.endswith("... 10 rows more")


def test_a_front_of_files_is_that_of_all_rows(tmp_path: Path) -> None:
    def cost(x: Any, y: Any) -> dict[str, Any]:
        return {"time_s": np.sin(x) ** 2 + y, "energy_j": np.cos(x * y) + x / 300}

    axes = {"x": np.linspace(0, 99, 250), "y": np.linspace(0, 1, 200)}
    inside = sweep(cost, axes)
    files = sweep(cost, axes, out=tmp_path / "out", chunk=PIECE)
    assert len(files.parts) == 4
    assert rows(files.pareto("time_s", "energy_j")) == rows(inside.pareto("time_s", "energy_j"))
    assert rows(files.best("time_s", by=["y"])) == rows(inside.best("time_s", by=["y"]))


@pytest.mark.parametrize(
    ("question", "words", "error", "said"),
    [
        ("pareto", (), InputError, "pareto: expected one column or more"),
        ("pareto", ("tims_s",), UnknownNameError, "did you mean 'time_s'"),
        ("best", ("cost",), UnknownNameError, "unknown column 'cost'"),
        ("filter", ("cost < 1",), UnknownNameError, "unknown column 'cost'"),
        ("filter", ("time_s <",), InputError, "expected SQL such as"),
    ],
)
def test_unknown_columns_and_bad_conditions_are_refused(
    question: str, words: tuple[str, ...], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        getattr(Sweep((ROWS.lazy(),)), question)(*words)
