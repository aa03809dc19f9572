"""Passes of a step: none backward, two, and layers whose inputs are found again; by hand count."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.training import training
from hwmodel.quantity.errors import CoverageError, InputError

PARAMETERS = 8_030_261_248
HIDDEN_BYTES = 2048 * 4096 * 2
EMBEDDING = 128_256 * 4096


def asked(work: Any) -> Any:
    return hw.predict(work, on="h100")


def step(**how: Any) -> Any:
    given: dict[str, Any] = {"dp": 1, "global_batch": 4, **how}
    return asked(training("llama-3.1-8b", 2048, **given))


@pytest.fixture(scope="module")
def plain() -> Any:
    return step()


def test_a_sharpness_aware_step_runs_all_twice_and_keeps_a_perturbation(plain: Any) -> None:
    twice = step(forwards=2, backwards=2)
    assert twice.model_flops == pytest.approx(2 * plain.model_flops)
    passes_s = twice.step_time_s - twice.optimizer_s
    assert passes_s == pytest.approx(2 * (plain.step_time_s - plain.optimizer_s))
    assert twice.memory_bytes == plain.memory_bytes + 2 * PARAMETERS
    assert twice.energy_j > 1.9 * plain.energy_j
    more = step(forwards=3, backwards=2)
    assert more.model_flops == pytest.approx(plain.model_flops * (3 + 2 * 2) / 3)
    alone_s = more.step_time_s - twice.step_time_s
    assert 0.25 < alone_s / passes_s * 2 < 0.45  # one of three products of a pass


def test_a_zeroth_order_step_has_weights_alone_and_no_gradient(plain: Any) -> None:
    """Two passes forward; weights are read and written four times, 16 bytes each."""
    found = step(forwards=2, backwards=0)
    assert found.model_flops == pytest.approx(plain.model_flops * 2 / 3)
    assert (found.weights_bytes, found.optimizer_bytes) == (2 * PARAMETERS, 0)
    assert found.gradients_bytes == 4 * 2 * EMBEDDING  # temporaries of the largest tensor
    assert found.activations_bytes == 0
    assert found.memory_bytes < plain.memory_bytes / 4
    assert found.optimizer_s == pytest.approx(16 * PARAMETERS / (0.9 * 3.35e12), rel=0.01)
    several = step(forwards=2, backwards=0, dp=4)
    assert several.exposed_communication_s == 0
    assert several.least_s["link"] == 0


def test_zeroth_order_weights_come_once_for_both_passes_and_go_back() -> None:
    """Two bytes a parameter each way in a micro-batch, however many passes."""
    given: dict[str, Any] = {"forwards": 2, "backwards": 0, "host": "holds=weights,rate=1GB/s"}
    work = training("llama-3.1-8b", 2048, 1, **given).but(host="holds=weights,rate=1GB/s,window=3")
    found = asked(work)
    layers = PARAMETERS - 2 * EMBEDDING
    assert found.step_time_s == pytest.approx(2 * PARAMETERS / 1e9, rel=0.05)
    largest = 2 * layers / 32
    assert found.weights_bytes == pytest.approx(2 * 2 * EMBEDDING + 3 * largest, rel=1e-3)
    assert asked(work.but(host="holds=weights,rate=100GB/s")).step_time_s < 1
    with pytest.raises(InputError, match="has none; use holds=weights"):
        asked(work.but(host="rate=1GB/s"))
    with pytest.raises(InputError, match="expected the optimizer with them"):
        asked(work.but(backwards=1, forwards=1))
    with pytest.raises(CoverageError, match="several backward passes"):
        asked(work.but(backwards=2, host="rate=1GB/s"))


def test_reversible_layers_keep_two_streams_however_many_they_are(plain: Any) -> None:
    full, found = step(recompute="full"), step(recompute="reversible")
    assert found.step_time_s == pytest.approx(full.step_time_s)
    assert full.activations_bytes == 32 * HIDDEN_BYTES
    assert found.activations_bytes == 2 * HIDDEN_BYTES
    assert found.again_bytes == full.again_bytes
    staged = step(recompute="reversible", pp=4)
    assert staged.kept_by_stage[1:3] == (2 * HIDDEN_BYTES, 2 * HIDDEN_BYTES)


def test_more_backward_passes_than_forward_ones_are_refused() -> None:
    for given in ({"backwards": 2}, {"forwards": 0, "backwards": 0}, {"backwards": -1}):
        with pytest.raises(InputError, match=r"(for|back)wards"):
            step(**given)
