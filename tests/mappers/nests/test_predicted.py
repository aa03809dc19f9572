"""One answer: `predict` on a machine without a binding is what `map` finds, to the last bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from tests.thorough import thorough

EXAMPLES = Path(__file__).parents[3] / "examples"
GEMM = hw.workloads.gemm(M=20, N=32, K=16, dtype="int8")


@pytest.mark.parametrize("objective", ["latency", thorough("energy")])
def test_a_product_on_an_array_takes_what_its_best_nest_takes(objective: str) -> None:
    mapped = hw.map(GEMM, on="peer-a3", objective=objective)
    assert isinstance(mapped, NestMapped)
    said = hw.predict(GEMM, on="peer-a3", kernel=None if objective == "latency" else objective)
    assert float(said.time_s) == mapped.costs.time_s
    assert float(said.energy_j) == pytest.approx(mapped.costs.energy_j, rel=1e-12)
    assert said.dram_bytes_read + said.dram_bytes_written == mapped.traffic_bytes
    assert float(said.bound_s) <= float(said.time_s)


def test_on_a_memory_and_a_buffer_a_cascade_runs_fused() -> None:
    work = hw.workloads.attention(1, 2, 64, 64, 16, passes=3)
    mapped = hw.map(work, on="peer-a2", objective="latency")
    assert isinstance(mapped, NestMapped)
    said = hw.predict(work, on="peer-a2")
    assert float(said.time_s) == mapped.costs.time_s
    assert said.dram_bytes_read + said.dram_bytes_written == mapped.traffic_bytes
    assert len(said.parts) == 1


@pytest.mark.parametrize("form", [{"passes": 3}, {"passes": 3, "causal": True}])
def test_on_an_array_a_cascade_runs_as_map_fuses_it(form: dict[str, Any]) -> None:
    work = hw.workloads.attention(1, 1, 16, 16, 8, **form)
    mapped = hw.map(work, on="peer-a3", objective="latency")
    assert isinstance(mapped, NestMapped)
    said = hw.predict(work, on="peer-a3")
    assert float(said.time_s) == mapped.costs.time_s
    assert said.dram_bytes_read + said.dram_bytes_written == mapped.traffic_bytes


def test_layers_of_a_network_go_by_their_names_and_what_is_copied_in_moves() -> None:
    """The image takes no operation: 16 bytes in, 16 out, at 16 GB/s, as where there is no array."""
    work = hw.workloads.cnn(network=str(EXAMPLES / "dense.yaml"))
    said = hw.predict(work, on="peer-a3")
    assert [part.name for part in said.parts] == ["image", "fc1", "fc2", "fc3", "output"]
    assert float(said.parts[0].time_s) == 32 / 16e9


def small() -> Hardware:
    return hw.device("peer-a3").but(buffer={"capacity": "4 KiB"})


@pytest.mark.thorough
def test_a_dataflow_is_no_faster_than_the_best_and_keeps_its_tensor_at_rest() -> None:
    """Weights that rest are filled once into registers: 32 x 16 of them."""
    free = hw.map(GEMM, on=small(), objective="energy")
    kept = hw.map(GEMM, on=small(), objective="energy", mapspace="weight-stationary")
    assert isinstance(kept, NestMapped)
    assert kept.value >= free.value
    assert "weight-stationary" in kept.certificate.mapspace
    (weights,) = (
        t for t in kept.costs.counts.transfers if (t.tensor, t.inner) == ("W", "register")
    )
    assert weights.fills == 32 * 16
    said = hw.predict(GEMM, on=small(), kernel="weight-stationary")
    best = hw.predict(GEMM, on=small())
    assert float(said.time_s) >= float(best.time_s)


def test_unknown_kernels_and_recurrent_cascades_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="an objective or a dataflow"):
        hw.predict(GEMM, on="peer-a3", kernel="weights-stationary")
    with pytest.raises(UnknownNameError, match="weight-stationary"):
        hw.map(GEMM, on="peer-a3", objective="energy", mapspace="uniforms")
    running = hw.workloads.attention(1, 1, 16, 16, 8, passes=1, tile=4)
    with pytest.raises(CoverageError, match="passes=3"):
        hw.predict(running, on="peer-a3", kernel="weight-stationary")


def test_a_nest_is_of_one_machine() -> None:
    """What asks many machines at once, as sensitivities do, asks them one by one then."""
    several = hw.device("peer-a3").but(dram={"bandwidth_bytes_per_s": np.array([1e9, 2e9])})
    with pytest.raises(InputError, match="one point to map, found an array of 2"):
        hw.predict(GEMM, on=several)
