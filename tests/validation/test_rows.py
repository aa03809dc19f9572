"""Measured rows: what identifies them, how they are read and grouped."""

import json
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

from hwmodel.quantity.errors import InputError
from hwmodel.validation.rows import Row, groups, kernels_known, read_rows, sittings

GEMM = "family,kernel,dtype,M,N,K,time_s,flushed\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, board in (("one", "aaaa"), ("two", "bbbb")):
        folder = tmp_path / "toy" / name
        folder.mkdir(parents=True)
        (folder / "header.json").write_text(json.dumps({"sitting": name, "board": board}))
        (folder / "gemm.csv").write_text(
            GEMM + "gemm,cublas,bf16,16,32,64,1.5e-6,1\ngemm,cublas,fp8,16,32,64,1.2e-6,0\n"
        )
    (tmp_path / "toy" / "two" / "attention.csv").write_text(
        "family,kernel,dtype,batch,heads,kv_heads,queries,keys,head_dim,causal,time_s\n"
        "attention,cudnn,bf16,1,8,8,128,128,64,True,4e-6\n"
        "attention,cudnn,bf16,1,8,8,128,128,64,False,5e-6\n"
    )
    return tmp_path


def test_rows_of_all_sittings_come_with_their_board(data: Path) -> None:
    rows = read_rows("toy", data=data)
    assert sittings("toy", data) == ("one", "two")
    assert [(r.sitting, r.board) for r in rows].count(("one", "aaaa")) == 2
    assert len(rows) == 6
    assert rows[0].time_s == 1.5e-6


def test_a_device_that_was_never_measured_has_no_rows(data: Path) -> None:
    assert sittings("other", data) == ()
    assert read_rows("other", data=data) == []


def test_truth_values_and_numbers_are_read_as_such(data: Path) -> None:
    (masked,) = (r for r in read_rows("toy", ["two"], data) if r.columns.get("causal") is True)
    assert masked.columns["queries"] == 128.0
    assert masked.time_s == 4e-6


def test_a_shape_is_what_was_measured_not_when_or_where(data: Path) -> None:
    one, two = (read_rows("toy", [name], data)[0] for name in ("one", "two"))
    assert one.shape == two.shape
    assert one.board != two.board


def test_everything_that_changes_the_work_changes_the_shape() -> None:
    columns = {"family": "gemm", "kernel": "cublas", "dtype": "bf16", "M": 1, "N": 2, "K": 3}
    others = ({"M": 2}, {"K": 4}, {"dtype": "fp16"}, {"kernel": "cublas-fast-accum"})
    shapes = {Row("s", "b", columns | other).shape for other in ({}, *others)}
    assert len(shapes) == 5


def test_a_collective_is_told_by_operation_bytes_and_ranks() -> None:
    columns = {"family": "collective", "kernel": "nccl", "dtype": "bf16", "op": "p2p"}
    columns |= {"bytes": 1024, "ranks": 2}
    others = ({"op": "all_gather"}, {"bytes": 2048}, {"ranks": 4})
    shapes = {Row("s", "b", columns | other).shape for other in ({}, *others)}
    assert len(shapes) == 4


def test_a_group_is_one_workload_with_arrays(data: Path) -> None:
    found = groups(read_rows("toy", data=data))
    forms = {group.rows[0].form: group for group in found}
    assert len(found) == 4  # bf16, fp8, masked, unmasked
    bf16 = forms["gemm", "cublas", "bf16", "", ""]
    assert_array_equal(bf16.measured_s, [1.5e-6, 1.5e-6])
    assert_array_equal(bf16.cascade.sizes()["m"], [16.0, 16.0])
    assert [call.family for call in bf16.calls] == ["gemm:cublas"]


def test_an_unknown_family_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="row of family 'fft': expected one of gemm, attention"):
        groups([Row("s", "b", {"family": "fft", "kernel": "torch", "dtype": "bf16"})])


def test_kernels_that_the_model_lacks_are_known_to_be_unknown() -> None:
    assert kernels_known(Row("s", "b", {"kernel": "cudnn"}))
    assert not kernels_known(Row("s", "b", {"kernel": "someone-else"}))
