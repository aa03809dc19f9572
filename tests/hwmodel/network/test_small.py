"""Engines' small all-reduces: shots by hand, graphs and single launches, and published times."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel.einsum.workloads.collective import collective
from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.network.nccl import fastest
from hwmodel.network.small import small_ways
from hwmodel.quantity.errors import CoverageError, UnknownNameError
from hwmodel.spine.activity import fold
from hwmodel.validation.tables import engine_rows

H200 = device("h200")
PLAIN = {"launch": 10.0, "peer": 1.0, "second": 2.0, "once": 0.5, "twice": 0.5, "host": 4.0}
"""9 us, 1.9 us a peer, 3.8 us more for two shots; 225 GB/s; 40 us outside of a graph."""


def test_few_bytes_are_read_at_once_and_more_in_two_shots_by_hand() -> None:
    small, large = 4096, 2**20
    for size, shot_s in (
        (small, 7 * small / 225e9),
        (large, 3.8e-6 + 2 * 7 * (large // 8) / 225e9),
    ):
        tree, rates, _ = fastest(small_ways("vllm", size, 8, H200, PLAIN))
        assert_allclose(fold(tree, rates).time_s, 9e-6 + 7 * 1.9e-6 + shot_s)


def test_outside_of_a_graph_the_hosts_launch_hides_the_rest() -> None:
    for size, seconds in ((4096, 40e-6), (2**24, 9e-6 + 1.9e-6 + 2**24 / 225e9)):
        tree, rates, _ = fastest(small_ways("vllm:eager", size, 2, H200, PLAIN))
        assert_allclose(fold(tree, rates).time_s, seconds)


def test_large_buffers_and_other_operations_are_nccls() -> None:
    sizes = np.array([2.0**14, 2.0**23, 2.0**24])
    own = np.asarray(predict(collective("all_reduce", sizes, 8), H200, kernel="vllm").time_s)
    nccl = np.asarray(predict(collective("all_reduce", sizes, 8), H200).time_s)
    assert (own < nccl).tolist() == [True, True, False]
    assert own[2] == pytest.approx(nccl[2], rel=1e-12)
    alone = [predict(collective("all_reduce", int(n), 8), H200, kernel="vllm") for n in sizes]
    assert_allclose(own, [float(one.time_s) for one in alone])
    gather = [predict(collective("all_gather", 2**14, 8), H200, kernel=k) for k in ("vllm", None)]
    assert gather[0].time_s == gather[1].time_s


def test_engines_and_tables_of_libraries_bring_their_own() -> None:
    decode = model("llama-3.1-8b").decode(8, 1024)
    times = [
        float(predict(decode, H200 * 8, **how).time_s)  # type: ignore[arg-type]
        for how in ({}, {"kernel": {"collective": "vllm"}}, {"kernel": {"collective": "nccl"}})
    ]
    assert times[1] < 0.95 * times[0]
    assert times[2] == times[0]
    found = predict(decode, H200 * 2, engine="vllm")
    assert any("small all-reduces: vllm's own" in told for told in found.assumptions)


@pytest.mark.parametrize(
    ("ranks", "size", "measured_s"),
    [(2, 4096, 4.453e-6), (2, 2 << 20, 12.444e-6), (2, 8 << 20, 42.992e-6), (4, 4096, 4.559e-6),
     (4, 1 << 20, 12.104e-6), (4, 4 << 20, 29.833e-6), (8, 4096, 4.803e-6),
     (8, 128 << 10, 7.943e-6)],
)  # fmt: skip
def test_a_step_of_vllm_sums_in_the_time_that_was_published(
    ranks: int, size: int, measured_s: float
) -> None:
    """VLLM 0.24 on H200s, inside graphs."""
    found = predict(collective("all_reduce", size, ranks), H200, kernel="vllm")
    assert float(found.time_s) == pytest.approx(measured_s, rel=0.15)


def test_a_divided_step_sums_faster_than_nccl_does() -> None:
    step = model("qwen3-32b").decode(32, 2048)
    engine = predict(step, H200 * 2, parallel={"tp": 2}, engine="vllm")
    plain = predict(step, H200 * 2, parallel={"tp": 2})
    each = [
        sum(float(part.time_s) for part in made.parts if part.name.startswith("all_reduce"))
        for made in (engine, plain)
    ]
    assert 0 < each[0] < 0.9 * each[1]


def test_unknown_libraries_are_refused() -> None:
    work = collective("all_reduce", 2**14, 8)
    with pytest.raises(UnknownNameError, match="unknown library of collectives 'vlm'"):
        predict(work, H200, kernel="vlm")
    bare = H200.calibration
    assert bare is not None
    families = {n: f for n, f in bare.families.items() if n != "collective:vllm"}
    lone = H200.but(calibration=bare.model_copy(update={"families": families}))
    with pytest.raises(CoverageError, match="nothing is known of the all-reduce of vllm"):
        predict(work, lone, kernel="vllm")


PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "data" / "tables"
"""Tables of others (aiconfigurator-core 0.12.0), where a checkout has them beside it."""

ERRORS = {
    **{("h200", "vllm"): 0.04, ("h100", "vllm"): 0.05, ("a100", "vllm"): 0.11},
    **{("b200", "vllm"): 0.09, ("h200", "trtllm"): 0.04, ("h100", "trtllm"): 0.03},
    **{("a100", "trtllm"): 0.17, ("b200", "trtllm"): 0.04, ("h200", "vllm:eager"): 0.14},
}
"""Mean |predicted / measured - 1| of rows up to 8 MiB, which the parameters were fitted to."""


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the published tables")
@pytest.mark.parametrize(("name", "library"), ERRORS)
def test_published_times_are_met_as_far_as_two_shots_explain_them(name: str, library: str) -> None:
    rows = engine_rows(PUBLISHED / f"{name}_sxm.custom_allreduce.csv")
    errors: list[float] = []
    for row in (row for row in rows if row.columns["kernel"] == library):
        size, ranks = int(row.columns["bytes"]), int(row.columns["ranks"])
        found = predict(collective("all_reduce", size, ranks), name, kernel=library)
        errors.append(float(found.time_s) / row.time_s - 1)
        print(f"{name} {library} x{ranks} {size} bytes: {errors[-1]:+.3f}")
    assert len(errors) > 10
    assert np.mean(np.abs(errors)) < ERRORS[name, library]


def test_the_verb_says_whose_all_reduce_runs() -> None:
    fields = {"op": "all_reduce", "bytes": 2**14, "ranks": 8, "on": "h200"}
    own, nccl = hw.ask("collective", **fields, kernel="vllm"), hw.ask("collective", **fields)
    assert own.time_s < nccl.time_s
    assert hw.collective("all_reduce", 2**14, 8, "h200", kernel="vllm").time_s == own.time_s


@pytest.mark.parametrize(("size", "reported_s"), [(2**21, 56.9e-6), (2**23, 94.4e-6)])
def test_nccl_launched_by_the_host_takes_what_nccl_tests_report(
    size: int, reported_s: float
) -> None:
    """Eight H200; the host's call was found on shorter buffers."""
    graph, host = (
        hw.collective("all_reduce", size, 8, "h200", kernel=kernel)
        for kernel in ("nccl", "nccl:eager")
    )
    assert graph.time_s < 0.75 * reported_s
    assert host.time_s == pytest.approx(reported_s, rel=0.1)
    assert host.time_s - graph.time_s == pytest.approx(20e-6)


def test_calls_by_the_host_take_as_long_on_a_topology() -> None:
    graph, host, own = (
        hw.predict(
            hw.workloads.collective("all_reduce", 2**14, 8),
            "h100",
            topology="dgx-h100",
            kernel=each,
        )
        for each in ("nccl", "nccl:eager", "vllm")
    )
    assert host.time_s - graph.time_s == pytest.approx(20e-6)
    assert own.time_s == graph.time_s
    assert any("known behind one switch alone" in told for told in own.assumptions)
