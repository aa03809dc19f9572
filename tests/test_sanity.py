"""Laws that every prediction obeys, on more than a thousand random cases of all kinds.

No prediction is below its roofline or its least traffic; a better machine is never slower; a sweep
answers what its points answer one by one; and a step of a known model takes about what it must.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import pytest
from numpy.typing import NDArray

import hwmodel
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import Workload
from hwmodel.spine.estimate import Estimate

SLACK = 1 + 1e-9
LIMITED = 1.06
"""Room for time under the power limit, see `test_a_better_machine_is_never_slower`."""

LEAST_J_PER_BYTE = 16e-12
"""Half of the 3.9 pJ/bit that an HBM2 byte takes (O'Connor et al., MICRO 2017)."""

LEAST_W = 115
"""Below the 119 W that the idlest measured H200 draws (headers of validation/data/h200)."""

"""Rounding of sums of float64."""

Sizes: TypeAlias = NDArray[np.float64]
Draw: TypeAlias = Callable[[int, int], Sizes]


def draws(seed: int, points: int) -> Draw:
    """Whole numbers, log-uniform between two ends; a third are multiples of 64, or the low end."""
    random = np.random.default_rng(seed)

    def draw(low: int, high: int) -> Sizes:
        sizes = np.floor(np.exp(random.uniform(np.log(low), np.log(high + 1), points)))
        return np.where(random.random(points) < 1 / 3, np.maximum(low, sizes // 64 * 64), sizes)

    return draw


def choices(seed: int, points: int, *values: int) -> Sizes:
    return np.random.default_rng(seed).choice(np.array(values, dtype=np.float64), points)


def gemms(dtype: str, points: int) -> Workload:
    size = draws(len(dtype), points)
    rows, columns, depth = size(1, 32768), size(16, 32768), size(16, 32768)
    if dtype == "fp8":  # torch._scaled_mm takes no others
        columns, depth = columns // 16 * 16, depth // 16 * 16
    return hwmodel.workloads.gemm(M=rows, N=columns, K=depth, dtype=dtype)


def prefills(causal: bool, points: int) -> Workload:
    size = draws(11, points)
    queries = size(32, 16384)
    return hwmodel.workloads.attention(
        batch=size(1, 32),
        heads=choices(1, points, 8, 16, 32, 64),
        kv_heads=choices(2, points, 1, 2, 4, 8),
        queries=queries,
        keys=queries + size(1, 8192),
        head_dim=choices(3, points, 64, 96, 128, 256),
        causal=causal,
    )


def decodes(points: int) -> Workload:
    size = draws(12, points)
    return hwmodel.workloads.attention(
        batch=size(1, 256),
        heads=choices(4, points, 8, 16, 32, 64),
        kv_heads=8,
        queries=1,
        keys=size(16, 131072),
        head_dim=choices(5, points, 64, 128),
    )


def experts(routing: str, points: int) -> Workload:
    size = draws(13, points)
    return hwmodel.workloads.moe(
        tokens=size(1, 16384),
        experts=choices(6, points, 8, 16, 64, 128),
        top_k=choices(7, points, 1, 2, 4, 8),
        hidden=choices(8, points, 1024, 2048, 4096),
        intermediate=choices(9, points, 768, 1536, 14336),
        routing=routing,
    )


def rows(name: str, points: int) -> Workload:
    size = draws(14, points)
    return hwmodel.workloads.workload(name, rows=size(1, 65536), cols=size(64, 65536))


def steps(config: str, phase: str, points: int) -> Workload:
    size, model = draws(15, points), hwmodel.model(config)
    if phase == "decode":
        return model.decode(size(1, 128), size(16, 32768))
    return model.prefill(size(1, 8), size(32, 8192))


CASES: dict[str, tuple[int, Callable[[int], Workload]]] = {
    "gemm bf16": (200, lambda n: gemms("bf16", n)),
    "gemm fp8": (100, lambda n: gemms("fp8", n)),
    "gemm fp32": (50, lambda n: gemms("fp32", n)),
    "gemm tf32": (50, lambda n: gemms("tf32", n)),
    "prefill": (100, lambda n: prefills(False, n)),
    "prefill causal": (150, lambda n: prefills(True, n)),
    "decode": (150, decodes),
    "moe balanced": (60, lambda n: experts("balanced", n)),
    "moe uniform": (60, lambda n: experts("uniform", n)),
    "softmax": (50, lambda n: rows("softmax", n)),
    "rmsnorm": (30, lambda n: rows("rmsnorm", n)),
    "layernorm": (30, lambda n: rows("layernorm", n)),
    "gelu": (30, lambda n: rows("gelu", n)),
    "add": (30, lambda n: rows("add", n)),
    "copy": (30, lambda n: rows("copy", n)),
    "llama decode": (40, lambda n: steps("llama-3.1-8b", "decode", n)),
    "llama prefill": (40, lambda n: steps("llama-3.1-8b", "prefill", n)),
    "qwen3-moe decode": (20, lambda n: steps("qwen3-30b-a3b", "decode", n)),
    "mistral prefill": (20, lambda n: steps("mistral-7b-v0.1", "prefill", n)),
}
H200 = device("h200")
BETTER: dict[str, Hardware] = {
    "dram": H200.but(hbm={"bandwidth": "9.6 TB/s"}),
    "l2": H200.but(l2={"bandwidth": "13 TB/s"}),
    "matrix": H200.but(
        matrix={"rate_per_s": {k: 2 * v for k, v in H200.units["matrix"].rate_per_s.items()}}
    ),
    "vector": H200.but(
        vector={"rate_per_s": {k: 2 * v for k, v in H200.units["vector"].rate_per_s.items()}}
    ),
    "exp": H200.but(exp={"rate_per_s": {"fp32": 8e12}}),
    "power": H200.but(power={"limit": "1400 W"}),
    "launch": H200.but(launch={"graph": "0.4 us"}),
}
"""What-ifs in which one number is better."""


@pytest.fixture(scope="module")
def estimates() -> dict[str, Estimate]:
    return {
        name: hwmodel.predict(build(points), on=H200) for name, (points, build) in CASES.items()
    }


def array(value: Any) -> Sizes:
    return np.asarray(value, dtype=np.float64)


def test_there_are_more_than_a_thousand_cases(estimates: dict[str, Estimate]) -> None:
    assert sum(np.size(estimate.time_s) for estimate in estimates.values()) > 1000


@pytest.mark.parametrize("name", CASES)
def test_no_time_is_below_its_roofline(name: str, estimates: dict[str, Estimate]) -> None:
    estimate = estimates[name]
    assert np.all(array(estimate.time_s) * SLACK >= estimate.bound_s)


@pytest.mark.parametrize("name", CASES)
def test_no_traffic_is_below_its_bound(name: str, estimates: dict[str, Estimate]) -> None:
    estimate = estimates[name]
    moved = array(estimate.dram_bytes_read) + array(estimate.dram_bytes_written)
    assert np.all(moved * SLACK >= estimate.bound_bytes)


@pytest.mark.parametrize("name", CASES)
def test_time_lies_in_its_interval_and_energy_above_idle(
    name: str, estimates: dict[str, Estimate]
) -> None:
    estimate = estimates[name]
    low, time_s, high = map(array, (estimate.time_low_s, estimate.time_s, estimate.time_high_s))
    assert np.all((low <= time_s) & (time_s <= high))
    lasting_s = array(estimate.sustained_time_s)
    moved = array(estimate.dram_bytes_read) + array(estimate.dram_bytes_written)
    least_j = np.minimum(LEAST_W * lasting_s + LEAST_J_PER_BYTE * moved, 700 * lasting_s)
    assert np.all(array(estimate.energy_j) * SLACK >= least_j)
    assert np.all(lasting_s * SLACK >= time_s)


@pytest.mark.parametrize("better", BETTER)
@pytest.mark.parametrize("name", CASES)
def test_a_better_machine_is_never_slower(
    name: str, better: str, estimates: dict[str, Estimate]
) -> None:
    """At the full clock, exactly; under the power limit, within a few percent.

    There a faster tile may cost more joules than its rival, and a library picks tiles by time.
    """
    points, build = CASES[name]
    faster = hwmodel.predict(build(points), on=BETTER[better])
    assert np.all(full_clock_s(faster) <= full_clock_s(estimates[name]) * SLACK)
    assert np.all(array(faster.time_s) <= array(estimates[name].time_s) * LIMITED)


def full_clock_s(estimate: Estimate) -> NDArray[np.float64]:
    """Seconds before any power limit."""
    return array(sum(part.times * part.time_s for part in estimate.parts))


@pytest.mark.parametrize("better", BETTER)
def test_each_better_machine_is_faster_somewhere(
    better: str, estimates: dict[str, Estimate]
) -> None:
    """Otherwise the law above would hold of machines that are all the same."""
    gains = [
        np.any(
            array(hwmodel.predict(build(points), on=BETTER[better]).time_s)
            < array(estimates[name].time_s) * 0.999
        )
        for name, (points, build) in CASES.items()
    ]
    assert any(gains)


def points_of(workload: Workload) -> list[Workload]:
    """Each point of a sweep as a workload with plain numbers."""
    assert workload.origin is not None
    arguments = workload.origin.arguments
    given = {k: cast(Sizes, v) for k, v in arguments.items() if isinstance(v, np.ndarray)}
    count = max(np.size(value) for value in given.values())
    return [
        workload.but(**{name: int(values[point]) for name, values in given.items()})
        for point in range(count)
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_sweep_answers_what_its_points_answer(name: str) -> None:
    _, build = CASES[name]
    sweep = build(9)
    swept = hwmodel.predict(sweep, on=H200)
    together, outside, far = swept.record(), swept.extrapolated, swept.beyond(9)
    for place, point in enumerate(points_of(sweep)):
        alone = hwmodel.predict(point, on=H200).record()
        for field, value in alone.items():
            many = together[field]
            if field == "warnings":
                beyond = [text for text in far[place : place + 1] if text]
                assert bool(beyond) == bool(np.broadcast_to(outside, 9)[place])
                told = [text for note in swept.notes for text in note.at(9)[place]]
                assert [*many, *beyond, *told] == value
            elif value is None:
                assert many is None
            elif field == "bottleneck":
                assert np.broadcast_to(many, 9)[place] == value, point.origin
            else:
                assert np.broadcast_to(many, 9)[place] == pytest.approx(value, rel=1e-9), (
                    field,
                    point.origin,
                )


def test_a_decode_step_of_llama_takes_what_reading_it_takes() -> None:
    """8.03e9 weights less the embedding's table, and 2048 tokens of cache, at 4.8 TB/s: 3.18 ms."""
    step = hwmodel.predict(hwmodel.model("llama-3.1-8b").decode(1, 2048), on="h200")
    weights = 2 * (8_030_261_248 - 128_256 * 4096)
    cache = 2048 * 32 * 2 * 8 * 128 * 2
    assert 3.18e-3 <= (weights + cache) / 4.8e12 <= float(step.bound_s) <= 3.3e-3
    assert float(step.time_s) == pytest.approx(6.11e-3, rel=0.08)  # measured: 6.10 and 6.13 ms
