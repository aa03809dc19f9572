"""Which kernel torch runs for a row operation, at the boundaries of its source, and its laws."""

import csv
from typing import Any

import numpy as np
import pytest

import hwmodel
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.choose import choose
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.rates import rates
from hwmodel.machines.gpu.schedules import torch_rows
from hwmodel.validation.rows import DATA

H200 = hwmodel.device("h200")


def cascade(name: str, rows: Any, cols: Any, dtype: str = "bf16") -> Cascade:
    found = hwmodel.workloads.workload(name, rows=rows, cols=cols, dtype=dtype)
    assert isinstance(found, Cascade)
    return found


def tile(name: str, rows: Any, cols: Any, dtype: str = "bf16") -> Any:
    (call,) = lower(cascade(name, rows, cols, dtype))
    parameters = {"launch": 1.0}
    bounds = limits(H200)
    return choose(
        call.activity, call.menu, call.problem, bounds, rates(H200, parameters), call.resolve
    )


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("copy", "copy"),
        ("add", "map"),
        ("gelu", "map"),
        ("silu", "map"),
        ("softmax", "softmax"),
        ("rmsnorm", "norm"),
        ("layernorm", "norm"),
    ],
)
def test_the_form_follows_from_operators_alone(name: str, form: str) -> None:
    (call,) = lower(cascade(name, 8, 64))
    assert call.problem.form == form


# The dispatch of SoftMax.cu: (columns, dtype) -> threads, rows a block, blocks a processor, rereads
@pytest.mark.parametrize(
    ("cols", "dtype", "expected"),
    [
        (2, "bf16", (128, 128, 16, 0)),  # 16 rows side by side in a warp, and two after each other
        (5, "bf16", (128, 32, 16, 0)),
        (33, "bf16", (128, 8, 16, 0)),
        (64, "bf16", (128, 8, 16, 0)),
        (128, "fp32", (128, 8, 15, 0)),
        (129, "bf16", (128, 4, 13, 0)),
        (2048, "bf16", (128, 4, 5, 0)),
        (2048, "fp32", (128, 4, 5, 0)),
        (2049, "bf16", (1024, 1, 2, 0)),
        (6144, "bf16", (1024, 1, 2, 0)),
        (6145, "bf16", (1024, 1, 1, 0)),
        (9216, "fp32", (1024, 1, 1, 0)),
        (9224, "bf16", (1024, 1, 2, 0)),
        (9217, "bf16", (1024, 1, 2, 2)),
        (24504, "bf16", (1024, 1, 2, 0)),
        (24512, "bf16", (1024, 1, 2, 2)),
        (12248, "fp32", (1024, 1, 2, 0)),
        (12256, "fp32", (1024, 1, 2, 2)),
    ],
)
def test_softmax_changes_kernels_where_torch_does(
    cols: int, dtype: str, expected: tuple[int, int, int, int]
) -> None:
    chosen = tile("softmax", 100, cols, dtype)
    assert (32 * chosen.warps, chosen.rows, chosen.resident, chosen.rereads) == expected


@pytest.mark.parametrize(("cols", "second"), [(4096, 0), (4097, 1), (4098, 1), (4100, 0)])
def test_a_norm_takes_two_kernels_unless_its_rows_divide_by_four(cols: int, second: int) -> None:
    for name in ("rmsnorm", "layernorm"):
        assert tile(name, 100, cols).second == second


@pytest.mark.parametrize(
    ("rows", "cols", "engine"),
    [
        (1, 256, 0),
        (1, 255, 1),
        (30421, 1152, 1),
        (4416, 63488, 0),
        (16384, 8192, 0),
        (16384, 16384, 1),
        (32768, 10880, 1),
    ],
)
def test_copies_are_slow_when_ragged_or_whole_pages_of_half_a_gibibyte(
    rows: int, cols: int, engine: int
) -> None:
    assert tile("copy", rows, cols).engine == engine


def test_a_partial_block_of_an_elementwise_kernel_costs_by_its_accesses() -> None:
    whole, one, full = (tile("add", 1, n).last for n in (1024, 1025, 2047))
    assert whole < one < full
    assert tile("add", 1, 2048).last == whole == 0
    bf16, fp32 = (tile("add", 1, 2047, dtype).last for dtype in ("bf16", "fp32"))
    assert bf16 == 2 * fp32


@pytest.mark.parametrize("name", ["copy", "gelu", "softmax", "rmsnorm", "layernorm"])
def test_a_sweep_finds_the_records_of_its_points(name: str) -> None:
    rows = np.array([1.0, 7, 300, 40000, 4096])
    cols = np.array([64.0, 1111, 2052, 9217, 65536])
    swept = tile(name, rows, cols)
    for index, (r, c) in enumerate(zip(rows, cols, strict=True)):
        alone = tile(name, int(r), int(c))
        for field in ("resident", "rows", "chain", "issue", "last", "rereads", "engine", "second"):
            found = np.broadcast_to(getattr(swept, field), 5)[index]
            assert np.isclose(found, getattr(alone, field), rtol=1e-3)


@pytest.mark.parametrize("name", ["copy", "add", "gelu", "softmax", "rmsnorm", "layernorm"])
@pytest.mark.parametrize("cols", [100, 333, 1536, 4096, 11925, 40000])
def test_more_rows_never_take_less_time(name: str, cols: int) -> None:
    # Multiples of 1024 rows leave elementwise kernels without a partial block.
    rows = np.unique(np.geomspace(1, 500, 60).astype(int)) * 1024.0
    times = np.asarray(hwmodel.predict(cascade(name, rows, cols), on=H200).time_s)
    if name == "copy":
        paths = np.broadcast_to(tile(name, rows, cols).engine, rows.shape)
        for path in (0, 1):
            assert np.all(np.diff(times[paths == path]) >= 0)
    else:
        assert np.all(np.diff(times) >= -1e-9 * times[1:])


def test_instructions_expand_what_is_no_single_instruction() -> None:
    erf = torch_rows.INSTRUCTIONS["erf"]
    assert torch_rows.instructions({("erf", "bf16"): 10, ("add", "bf16"): 10}) == 10 * (erf + 1)
    assert torch_rows.instructions({("copy", "bf16"): 10}) == 0


@pytest.mark.parametrize(
    ("name", "rows", "cols", "dtype", "measured_s"),
    [
        ("softmax", 524_288, 2, "bf16", 3.97e-6),  # was priced at 20.7 us
        ("softmax", 3_717_251, 48, "fp16", 481.29e-6),
        ("softmax", 4, 895_127, "bf16", 212.18e-6),
        ("softmax", 16, 63_872, "fp32", 22.56e-6),
        ("rmsnorm", 2_097_152, 40, "fp32", 1503.7e-6),
        ("rmsnorm", 16, 530_304, "fp32", 526.75e-6),  # was priced at 757 us
        ("layernorm", 223_488, 16, "fp32", 326.98e-6),
        ("layernorm", 128, 396_928, "fp32", 806.18e-6),
        ("copy", 1, 640, "fp16", 1.03e-6),
        ("copy", 299, 1088, "fp16", 1.57e-6),
    ],
)
def test_measured_narrow_few_and_small_rows(
    name: str, rows: int, cols: int, dtype: str, measured_s: float
) -> None:
    """Rows of board d025b8a8, an H200."""
    found = hwmodel.predict(cascade(name, rows, cols, dtype), H200)
    assert found.time_s == pytest.approx(measured_s, rel=0.1)


def taken(places: int, cols: int, table: int, dtype: str = "bf16") -> Any:
    """The launch record and the problem of rows out of a table."""
    kinds = {"*": dtype, "I": "int64"}
    named = {"b": places, "c": cols, "v": table}
    (call,) = lower(parse("O[b, c] = gather(T[v, c], I[b])", sizes=named, dtypes=kinds))
    return torch_rows.filled(call.menu[0], call.problem, limits(H200)), call.problem


def test_rows_are_taken_by_the_blocks_that_were_seen() -> None:
    """Every launch of `vectorized_gather_kernel`: blocks by rows and parts, threads of one."""
    with (DATA / "h200" / "2026-11-29-u" / "launches.csv").open(encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if "vectorized_gather" in r["name"]]
    assert len(rows) > 20
    for row in rows:
        places, cols = int(float(row["sources"])), int(float(row["cols"]))
        tile, problem = taken(places, cols, int(float(row["targets"])), row["dtype"])
        blocks = problem.rows * problem.cols / tile.elements
        seen = np.prod([int(side) for side in row["grid"].split("x")])
        assert (blocks, tile.warps * 32) == (pytest.approx(seen), int(row["threads"]))


def test_rows_that_fill_no_sixteen_bytes_are_taken_one_by_one() -> None:
    assert taken(1000, 100, 50)[0].elements == 512
    assert taken(1000, 104, 50)[0].elements == 104


def test_short_rows_take_what_their_blocks_take_to_start() -> None:
    """0.6 ns a row of an H200, whatever its length up to a few hundred bytes (measured)."""
    kinds = {"*": "bf16", "I": "int64"}
    for cols in (16, 64):
        text, named = "O[b, c] = gather(T[v, c], I[b])", {"b": 10**6, "c": cols, "v": 1000}
        time_s = hwmodel.predict(parse(text, sizes=named, dtypes=kinds), on="h200").time_s
        assert float(time_s) == pytest.approx(0.603e-3, rel=0.05)


def test_a_logarithm_takes_no_longer_than_the_softmax() -> None:
    text = """
    M[r] = max(v) X[r, v]
    Z[r] = sum(v) exp(X[r, v] - M[r])
    L[r, v] = {last}
    """
    ends = {"softmax": "exp(X[r, v] - M[r]) / Z[r]", "log softmax": "X[r, v] - M[r] - log(Z[r])"}
    for rows, cols in ((2, 200_000), (2000, 32768), (64, 1200)):
        taken_s: list[float] = []
        for form, last in ends.items():
            whole = parse(
                text.format(last=last), sizes={"r": rows, "v": cols}, dtypes={"*": "bf16"}
            )
            (call,) = lower(whole)
            assert call.problem.form == form
            taken_s.append(float(hwmodel.predict(whole, on="h200").time_s))
        assert taken_s[1] < taken_s[0]
