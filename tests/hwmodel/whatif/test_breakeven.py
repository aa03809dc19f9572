"""Break-even values: another resource binds on the other side, and refusals where none does."""

import json
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.parameters import changed
from hwmodel.quantity.errors import InputError, SolverError, UnknownNameError
from hwmodel.whatif.breakeven import break_even

H200 = device("h200")
GEMM = hw.workloads.gemm(M=4096, N=4096, K=4096)
DECODE = hw.workloads.attention(batch=16, heads=32, kv_heads=8, queries=1, keys=8192, head_dim=128)


@pytest.mark.parametrize(
    ("workload", "path"),
    [(GEMM, "dram.bandwidth"), (DECODE, "dram.bandwidth"), (GEMM, "matrix.rate.bf16")],
)
def test_what_binds_differs_on_the_two_sides(workload: Any, path: str) -> None:
    found = break_even(workload, H200, path)
    for change in found.changes:
        below, above = (
            hw.predict(workload, changed(H200, {path: change.value * f}))
            for f in (1 - 1e-6, 1 + 1e-6)
        )
        assert (below.bottleneck, above.bottleneck) == (change.below, change.above)
        assert below.time_s == pytest.approx(change.time_s, rel=1e-5)


def test_two_resources_are_needed_equally_long_at_the_value() -> None:
    found = break_even(GEMM, H200, "hbm.bandwidth", to="matrix")
    at = hw.predict(GEMM, H200.but(hbm={"bandwidth_bytes_per_s": found.value})).busy_s
    assert at["dram"] == pytest.approx(at["matrix"], rel=1e-6)


def test_a_value_follows_from_the_time_of_the_other_resource() -> None:
    """DRAM seconds go as one over the bandwidth: the value is the seconds' ratio times today's."""
    busy = hw.predict(GEMM, H200).busy_s
    expected = 4.8e12 * float(busy["dram"]) / float(busy["matrix"])
    assert break_even(GEMM, H200, "hbm.bandwidth").value == pytest.approx(expected, rel=1e-6)


def test_a_whole_number_changes_at_a_whole_number() -> None:
    workload = hw.workloads.gemm(M=128, N=4096, K=4096)
    for change in break_even(workload, H200, "sms.count").changes:
        assert change.value == int(change.value)
        on, before = (H200.but(sms={"count": int(change.value) - less}) for less in (0, 1))
        assert hw.predict(workload, on).bottleneck == change.above
        assert hw.predict(workload, before).bottleneck == change.below


def test_no_change_in_range_is_refused_with_what_binds_there() -> None:
    with pytest.raises(SolverError, match=r"between 4 TB/s and 9 TB/s, found matrix throughout"):
        break_even(GEMM, H200, "hbm.bandwidth", low="4 TB/s", high="9 TB/s")


def test_bad_ends_and_names_are_refused() -> None:
    with pytest.raises(InputError, match="expected low below high"):
        break_even(GEMM, H200, "hbm.bandwidth", low="9 TB/s", high="4 TB/s")
    with pytest.raises(InputError, match=r"expected a bandwidth such as '4.8 TB/s', found '4 GB'"):
        break_even(GEMM, H200, "hbm.bandwidth", low="4 GB")
    with pytest.raises(UnknownNameError, match="did you mean"):
        break_even(GEMM, H200, "hbm.bandwith")


def test_text_json_and_html_name_the_value() -> None:
    found = break_even(GEMM, "h200", "hbm.bandwidth")
    assert "dram binds below" in str(found)
    assert json.loads(json.dumps(found.record()))["value"] == found.value
    assert "binds below" in getattr(found, "_repr_html_")()  # noqa: B009
