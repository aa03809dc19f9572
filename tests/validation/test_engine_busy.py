"""Predicted kernels of an engine's steps against what the profiler counted, by class."""

import pytest

import hwmodel as hw
from hwmodel.validation.engine_busy import WHOLE, Share, joules, measured_s, shares
from hwmodel.validation.engine_rows import read_busy


@pytest.fixture(scope="module")
def lines() -> dict[tuple[str, str], Share]:
    return {(line.kernels, line.column): line for line in shares("h200", hw.device("h200"))}


def test_attention_holds_the_kernel_that_combines_its_parts() -> None:
    busy = next(b for b in read_busy("h200") if b.busy_s.get("combine"))
    both = busy.busy_s["attention"] + busy.busy_s["combine"]
    assert measured_s(busy)["attention"] == pytest.approx(both)
    assert sum(measured_s(busy).values()) == pytest.approx(busy.total_s)


@pytest.mark.parametrize("column", ["fitted", "another board"])
def test_the_sum_of_predicted_kernels_is_near_the_busy_time(
    lines: dict[tuple[str, str], Share], column: str
) -> None:
    whole = lines[WHOLE, column]
    assert whole.mean < 0.05
    assert whole.p90 < 0.10


def test_classes_that_take_most_of_a_step_are_within_a_tenth(
    lines: dict[tuple[str, str], Share],
) -> None:
    for line in lines.values():
        if line.share > 0.2:
            assert line.mean < 0.10, line


def test_joules_of_steps_are_within_a_tenth_in_the_mean() -> None:
    found = {line.column: line for line in joules("h200", hw.device("h200"))}
    assert set(found) == {"fitted", "another board"}
    assert max(line.mean for line in found.values()) < 0.10
    assert min(line.steps for line in found.values()) >= 25
