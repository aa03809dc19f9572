"""A step with a part in its host: bytes by hand count, seconds of the longest stream."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CoverageError, InputError

PARAMETERS = 8_030_261_248
LINK = 25e9
EMBEDDING = 128_256 * 4096


def step(host: str | None = None, global_batch: int = 4, **how: Any) -> Any:
    given: dict[str, Any] = {"dp": 1, "recompute": "full", "micro_batch": 2, **how}
    work: Any = hw.workloads.training("llama-3.1-8b", 2048, global_batch, host=host, **given)
    return hw.predict(work, on="h100")


@pytest.fixture(scope="module")
def plain() -> Any:
    return step()


@pytest.fixture(scope="module")
def updated() -> Any:
    return step("holds=optimizer,rate=25GB/s")


def test_a_host_that_updates_holds_twelve_bytes_a_parameter_and_gradients(
    plain: Any, updated: Any
) -> None:
    parts = updated.hosted.host_bytes
    assert hw.model("llama-3.1-8b").parameters == PARAMETERS
    assert parts["copy and states"] == 12 * PARAMETERS
    assert parts["gradients"] == 2**35  # 32.1 GB, up to a power of two
    assert parts["copies of gradients, checked"] == 7 * PARAMETERS
    assert (updated.optimizer_bytes, updated.weights_bytes) == (0, 2 * PARAMETERS)
    assert updated.gradients_bytes < plain.gradients_bytes / 10
    assert not plain.fits
    assert updated.fits


def test_a_step_waits_for_the_longest_of_its_streams(plain: Any, updated: Any) -> None:
    """Gradients hide; 30 bytes a parameter go through the host's memory, at 0.6 of its rate.

    What nothing hides is the way up of the first and of the last: the embedding and the head.
    """
    update_s = 30 * PARAMETERS / (2 * 307.2e9 * 0.6)
    assert update_s < updated.optimizer_s < update_s + 2 * 2 * EMBEDDING / LINK
    assert updated.bound_s <= updated.step_time_s
    slow = step("holds=optimizer,rate=1GB/s")
    down_s = 2 * 2 * PARAMETERS / 1e9  # two micro-batches
    assert slow.step_time_s - slow.optimizer_s > down_s
    assert slow.bound_s == pytest.approx(down_s)
    assert slow.bottleneck == updated.bottleneck == "host"
    assert updated.step_time_s > plain.step_time_s


def test_weights_on_drives_come_twice_a_micro_batch_at_the_drives_rate() -> None:
    found = step("holds=optimizer+weights,rate=25GB/s,drive=2GB/s")
    assert found.drive_bytes == 14 * PARAMETERS
    came_s = 2 * 2 * 2 * PARAMETERS / 2e9  # in two micro-batches, twice, 2 bytes
    assert found.step_time_s - found.optimizer_s == pytest.approx(came_s)
    assert found.optimizer_s == pytest.approx(14 * PARAMETERS / 2e9, rel=0.15)
    assert found.weights_bytes == 2 * (2 * EMBEDDING + 4096)  # the ends, with the last norm
    parts = found.hosted.host_bytes
    assert parts["buffers of weights"] == 2**33  # five times the embedding, 5.25 GB
    assert parts["buffers of states"] == 4 * 2**32  # four of a group of 4e9 bytes
    exact = step("holds=optimizer+weights,rate=25GB/s,drive=2GB/s,pinned=exact,check=none")
    parts = exact.hosted.host_bytes
    assert parts["buffers of weights"] == 5 * 2 * EMBEDDING
    assert sum(parts.values()) == 5 * 2 * EMBEDDING + 4 * 4e9 + 4 * PARAMETERS


def test_what_layers_keep_may_go_down_and_come_up(plain: Any) -> None:
    away = step("holds=activations,rate=25GB/s")
    layer = 2 * 2048 * 4096 * 2
    assert plain.activations_bytes == 32 * layer
    assert away.activations_bytes == 2 * layer
    assert away.hosted.host_bytes["activations"] == 32 * layer
    assert away.optimizer_bytes == plain.optimizer_bytes
    assert away.step_time_s == pytest.approx(plain.step_time_s)  # hidden
    seen = step("holds=activations,rate=0.5GB/s")
    assert seen.step_time_s > 2 * 2 * 32 * layer / 0.5e9


def test_replicas_send_parts_and_share_a_host() -> None:
    eight = step("holds=optimizer,rate=25GB/s", dp=8, zero=3, micro_batch=1, global_batch=8)
    assert eight.hosted.host_bytes["copy and states"] == pytest.approx(12 * PARAMETERS)
    assert eight.hosted.down_bytes == pytest.approx(2 * PARAMETERS / 8)
    with pytest.raises(InputError, match="expected zero 2 or 3"):
        step("holds=optimizer,rate=25GB/s", dp=2)
    with pytest.raises(CoverageError, match="in a pipeline"):
        step("holds=optimizer,rate=25GB/s", pp=2)
    with pytest.raises(InputError, match="expected a host's"):
        step("rate=25GB/s,cpu=h100")
