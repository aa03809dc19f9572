"""Files of routing: all formats say the same, streaming too; what is malformed is named."""

import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hwmodel.experts.statistics import Routing, from_traces, planted
from hwmodel.experts.traces import read_routing
from hwmodel.quantity.errors import InputError, UnknownNameError

TRACE = planted(layers=3, experts=6, group=2, share=0.5, tokens=40, seed=0)
COUNTS = "layer_from,layer_to,expert_from,expert_to,count\n"


def same(one: Routing, other: Routing) -> bool:
    return one.layers == other.layers and all(
        (one.transitions[pair] == other.transitions[pair]).all() for pair in one.transitions
    )


def rows_of(trace: np.ndarray) -> pl.DataFrame:
    token, layer, rank = (index.ravel() for index in np.indices(trace.shape))
    columns = {"token": token, "layer": layer, "rank": rank, "expert": trace.ravel()}
    return pl.DataFrame(columns)


@pytest.mark.parametrize("chunk_rows", [1, 7, 1 << 20])
@pytest.mark.parametrize("kind", ["top1", "topk"])
def test_every_format_streams_to_the_same_routing(
    tmp_path: Path, chunk_rows: int, kind: str
) -> None:
    trace = np.concatenate([TRACE, (TRACE + 1) % 6], axis=2)
    np.savez(tmp_path / "t.npz", experts=trace)
    rows_of(trace).write_parquet(tmp_path / "t.parquet")
    rows_of(trace).write_csv(tmp_path / "t.csv")
    expected = from_traces([trace], kind=kind)
    for name in ("t.npz", "t.parquet", "t.csv"):
        found = read_routing(tmp_path / name, kind=kind, chunk_rows=chunk_rows)
        assert same(found, expected), name


def test_a_trace_is_counted_without_holding_it(tmp_path: Path) -> None:
    trace = np.tile(TRACE[:, :, 0].astype(np.int64), (5000, 1))
    np.savez(tmp_path / "t.npz", experts=trace)
    tracemalloc.start()
    found = read_routing(tmp_path / "t.npz", chunk_rows=3000)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.total == 2 * len(trace)
    assert peak_bytes < trace.nbytes / 5


def test_a_compressed_array_without_ranks_and_any_name_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "t.npz", routes=TRACE[:, :, 0].astype(np.uint8))
    assert same(read_routing(tmp_path / "t.npz"), from_traces([TRACE]))


def test_layers_of_a_table_keep_their_numbers(tmp_path: Path) -> None:
    rows_of(TRACE).with_columns(pl.col("layer") * 7).write_csv(tmp_path / "t.csv")
    assert read_routing(tmp_path / "t.csv").layers == (0, 7, 14)


def test_counts_are_added_over_the_domains_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        "domain,kind," + COUNTS + "a,top1,0,1,0,1,5\nb,top1,0,1,0,1,7\na,topk,0,1,1,1,9\n"
    )
    read = read_routing(path, kind="top1", domains=("a",))
    assert read.transitions[0, 1].tolist() == [[0, 5], [0, 0]]
    assert read_routing(path, kind="top1").total == 12
    with pytest.raises(InputError, match="holds the kinds top1, topk"):
        read_routing(path)
    with pytest.raises(UnknownNameError, match=r"'c'.*known: a, b"):
        read_routing(path, kind="top1", domains=("c",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer,count\n1,2\n", "expected columns layer_from"),
        (COUNTS, "expected rows of data"),
        (COUNTS + "0,1,0,0,3\n0,1,1,nan,3\n", "row 2, column expert_to.*nan"),
        (COUNTS + "0,1,0,0,3\n0,1,1,1,-3\n", "row 2, column count.*-3"),
        (COUNTS + "0,1,0,0,3\n0,1,1,,3\n", "row 2, column expert_to.*None"),
        (COUNTS + "0,1,0,0,3\n0,1,1,1\n", "row 2: expected 5 fields, found 4"),
        (COUNTS + "0,1,0,9,3\n", "row 1, column expert_to: expected an expert of 0 to 7, found 9"),
        (COUNTS + "2,2,0,1,3\n", "expected two different layers"),
        ("token,layer,expert\n0,0,1\n0,1,1\n1,0,1\n", "row 3, token 1: expected 2 rows together"),
        ("token,layer,expert\n0,0,1\n0,1,1\n1,0,1\n1,0,2\n", "row 4, token 1.*found layer 0"),
        ("token,layer,expert\n0,0,1\n0,1,8\n", "expert of 0 to 7, found 8"),
    ],
)
def test_malformed_tables_are_refused_with_place_and_reason(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as refusal:
        read_routing(path, experts=8)
    assert str(path) in str(refusal.value)


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=TRACE, b=TRACE)
    np.savez(tmp_path / "real.npz", experts=TRACE.astype(float))
    (tmp_path / "fake.npz").write_text("no")
    (tmp_path / "fake.parquet").write_text("no")
    for name, words in (
        ("none.csv", "found none"),
        ("two.npz", "named 'experts'"),
        ("real.npz", "whole numbers.*float64"),
        ("fake.npz", "npz archive"),
        ("fake.parquet", "Parquet"),
    ):
        with pytest.raises(InputError, match=words):
            read_routing(tmp_path / name)


LOADS = [[90.0, 132, 40], [20, 107.5, 0]]


def test_loads_alone_are_a_routing_without_transitions(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '{"source": "a test", "weight": [[90, 132, 40], [20, 107.5, 0]]}'
    )
    (tmp_path / "b.json").write_text("[[90, 132, 40], [20, 107.5, 0]]")
    rows = [(layer, i, load) for layer in (1, 0) for i, load in enumerate(LOADS[layer])]
    table = pl.DataFrame(rows[::-1], schema=["layer", "expert", "load"], orient="row")
    table.write_csv(tmp_path / "c.csv")
    table.write_parquet(tmp_path / "d.parquet")
    for name in ("a.json", "b.json", "c.csv", "d.parquet"):
        found = read_routing(tmp_path / name)
        assert (found.layers, found.loads.tolist()) == ((0, 1), LOADS), name
        assert not found.transitions
    assert read_routing(tmp_path / "a.json", experts=4).loads[:, 3].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"weights": [1]}', "expected loads under one of weight, loads, load"),
        ("a.json", "[[1, 2], [3]]", "loads: expected numbers, as many in each layer"),
        ("a.json", "[[1, -2]]", r"loads, entry \(0, 1\): expected a count of 0 or more"),
        ("a.json", "[[0, 0]]", "at least one choice of an expert"),
        ("a.json", "[]", "found shape"),
        ("a.json", "[1, 2, 3, 4, 5]", "expected 4 experts, found 5"),
        ("a.csv", "layer,expert,load\n0,0,1\n0,0,2\n", "row 2: layer 0, expert 0 stands here"),
        ("a.csv", "layer,expert,load\n0,0,1\n0,1,nan\n", "row 2, column load: expected a number"),
        ("a.csv", "layer,expert,load\n0,0,1\n0,-1,2\n", "row 2, column expert"),
    ],
)
def test_malformed_loads_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as refusal:
        read_routing(tmp_path / name, experts=4)
    assert name in str(refusal.value)


def test_a_trace_of_one_layer_has_loads(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", experts=TRACE[:, :1])
    found = read_routing(tmp_path / "t.npz")
    assert found.loads.tolist() == [np.bincount(TRACE[:, 0, 0], minlength=6).tolist()]
