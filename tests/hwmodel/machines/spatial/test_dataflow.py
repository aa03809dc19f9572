"""Dataflows as data: which ranks lie along an array's sides, a user's own file, refusals."""

from pathlib import Path

import pytest

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.machines.spatial.dataflow import dataflow, dataflows
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

SIZES = {"m": 4, "n": 4, "k": 4}
PRODUCT = parse("Z[m, n] = A[m, k] * B[k, n]", sizes=SIZES).einsums[0]


@pytest.mark.parametrize(
    ("name", "rests", "rows", "columns"),
    [
        ("weight-stationary", "B", "k", "n"),
        ("output-stationary", "Z", "m", "n"),
        ("input-stationary", "A", "k", "m"),
    ],
)
def test_what_ships_says_what_rests_and_what_lies_along_which_side(
    name: str, rests: str, rows: str, columns: str
) -> None:
    flow = dataflow(name)
    assert name in dataflows()
    assert flow.tensors(PRODUCT)[flow.stationary] == rests
    assert flow.along("rows", PRODUCT) == {rows}
    assert flow.along("columns", PRODUCT) == {columns}


def test_a_file_of_the_users_is_read_again_when_it_was_written_anew(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    said = "title: t\nsource: s\nstationary: {}\nrows: [[input, output]]\ncolumns: []\n"
    mine.write_text(said.format("weight"), encoding="utf-8")
    assert (dataflow(str(mine)).name, dataflow(str(mine)).stationary) == ("mine", "weight")
    assert dataflow(str(mine)).along("columns", PRODUCT) == frozenset()
    mine.write_text(said.format("output") + "\n", encoding="utf-8")
    assert dataflow(str(mine)).stationary == "output"
    mine.write_text(said.format("bias"), encoding="utf-8")
    with pytest.raises(InputError, match="stationary"):
        dataflow(str(mine))


def test_unknown_names_and_what_is_no_product_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="weight-stationary"):
        dataflow("weights-stationary")
    with pytest.raises(InputError, match=r"none\.yaml"):
        dataflow("none.yaml")
    one = parse("Z[m] = exp(A[m])", sizes={"m": 4}).einsums[0]
    with pytest.raises(CoverageError, match="products of two tensors, found 1"):
        dataflow("output-stationary").tensors(one)


def test_row_stationary_lays_taps_along_rows_and_outputs_of_the_same_axis_along_columns() -> None:
    layer = conv2d(batch=1, channels=2, filters=4, height=6, width=6, window=3).einsums[0]
    flow = dataflow("row-stationary")
    assert flow.tensors(layer)[flow.stationary] == "F"
    assert flow.along("rows", layer) == {"r", "c", "k"}
    assert flow.along("columns", layer) == {"y", "k"}
    assert flow.along("columns", PRODUCT) == {"n"}
