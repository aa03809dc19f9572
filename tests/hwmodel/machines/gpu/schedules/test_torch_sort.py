"""torch's sorts: which kernels run, as launches of an H200 say; what sorting means and costs."""

import csv
from collections import defaultdict

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts, footprint
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.notation import parse
from hwmodel.machines.gpu.schedules.torch_sort import SortProblem, by_many
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.validation.rows import DATA


def largest(rows: int, cols: int, kept: int, dtype: str = "bf16") -> Cascade:
    kinds = {"*": dtype, "P": "int64"}
    sizes = {"r": rows, "c": cols, "k": kept}
    return parse("Y[r, k] = ranked(X[c, r], P[k])", sizes=sizes, dtypes=kinds, name="largest")


def test_ranked_numbers_are_those_of_a_sort() -> None:
    x = np.random.default_rng(3).normal(size=(9, 4))
    found = evaluate(largest(4, 9, 5), {"X": x, "P": np.arange(5)})["Y"]
    assert np.array_equal(found, np.sort(x.T)[:, ::-1][:, :5])
    middle = evaluate(largest(4, 9, 1), {"X": x, "P": np.array([4])})["Y"]
    assert np.array_equal(middle[:, 0], np.median(x, axis=0))
    with pytest.raises(InputError, match="ranked of X: expected whole positions from 0 to 8"):
        evaluate(largest(4, 9, 1), {"X": x, "P": np.array([9])})


def test_what_is_ranked_is_read_whole_however_little_is_kept() -> None:
    work = largest(4, 100, 3)
    assert footprint("X", work) == 400
    assert footprint("Y", work) == 12
    assert cascade_counts(work) == {("compare", "bf16"): 12}


def test_many_blocks_take_rows_where_they_were_seen_to() -> None:
    """Every launch of `topk` on an H200: mbtopk where the rule says so, sbtopk elsewhere."""
    kernels: dict[tuple[float, float], set[bool]] = defaultdict(set)
    for sitting in ("2026-11-29-u", "2026-11-29-ab"):
        with (DATA / "h200" / sitting / "launches.csv").open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["family"] == "sort" and row["op"] == "topk" and "btopk::" in row["name"]:
                    sizes = float(row["rows"]), float(row["cols"])
                    kernels[sizes].add("mbtopk::" in row["name"])
    assert len(kernels) > 50
    for (rows, cols), seen in kernels.items():
        assert seen == {bool(by_many(SortProblem(rows, cols, 1, 2)))}, (rows, cols)


def test_a_longer_sort_takes_longer_and_a_wider_key_more_passes() -> None:
    taken = {
        (cols, dtype): float(hw.predict(largest(64, cols, cols, dtype), on="h200").time_s)
        for cols in (1 << 16, 1 << 17)
        for dtype in ("fp16", "fp32")
    }
    assert 1.7 < taken[1 << 17, "fp16"] / taken[1 << 16, "fp16"] < 2.1
    assert 1.5 < taken[1 << 16, "fp32"] / taken[1 << 16, "fp16"] < 1.9  # five passes and three


@pytest.mark.parametrize("kept", [1, 50, 32768])
def test_no_sort_is_faster_than_its_bound(kept: int) -> None:
    work = largest(256, 32768, kept)
    estimate = hw.predict(work, on="h200")
    assert estimate.parts[0].family == "sort:torch"
    assert estimate.time_s > estimate.bound_s


@pytest.mark.parametrize("machine", ["tpu-v5e", "u280", "epyc-7763", "fusemax"])
def test_a_machine_without_a_sort_says_so(machine: str) -> None:
    with pytest.raises(CoverageError, match="sorts are modelled on GPUs alone"):
        hw.predict(largest(4, 100, 3), on=machine)
    with pytest.raises(CoverageError, match="no sort schedule; kernels that do: torch"):
        hw.predict(largest(4, 100, 3), on="h200", kernel="triton")
