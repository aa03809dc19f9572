"""Estimates put together from blocks against those of the whole network."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.division import Division
from hwmodel.machines.blockwise import Blockwise
from hwmodel.verbs.parallelise import step_of

H200 = hw.device("h200")
DENSE: list[dict[str, Any]] = [
    {"tp": 8, "pp": 2},
    {"tp": 16},
    {"tp": 2, "pp": 8, "micro_batch": 2},
    {"tp": 4, "dp": 2, "cp": 2, "sp": True},
]
SPARSE: list[dict[str, Any]] = [
    {"tp": 2, "dp": 8, "ep": 16},
    {"tp": 4, "dp": 2, "pp": 2, "ep": 4, "etp": 2, "sp": True},
    {"tp": 1, "dp": 16, "ep": 8},
]


@pytest.mark.parametrize("phase", ["decode", "prefill"])
@pytest.mark.parametrize(
    ("name", "divisions"), [("llama-3.1-70b", DENSE), ("deepseek-v3", DENSE + SPARSE)]
)
def test_blocks_together_are_the_network(
    name: str, divisions: list[dict[str, Any]], phase: str
) -> None:
    work = getattr(hw.model(name), phase)(32, 1024)
    blocks = Blockwise(hw.model(name), step_of(work), H200 * 16)
    for table in divisions:
        found = blocks.estimate(Division.of(table))
        whole = hw.predict(work, on=H200 * 16, parallel=table)
        for field in ("time_s", "sustained_time_s", "energy_j", "tokens_per_s"):
            assert getattr(found, field) == pytest.approx(getattr(whole, field), rel=1e-9)
        if whole.flow is not None:
            assert found.full_tokens_per_s == pytest.approx(whole.full_tokens_per_s, rel=1e-9)
        assert found.serving is not None
        assert whole.serving is not None
        assert found.serving.memory.total_bytes == whole.serving.memory.total_bytes


def test_what_is_known_of_a_division_grows_with_those_that_were_asked() -> None:
    work = hw.model("olmoe-1b-7b").decode(32, 512)
    blocks = Blockwise(hw.model("olmoe-1b-7b"), step_of(work), H200 * 8)
    asked = Division.of({"tp": 1, "dp": 8, "ep": 8})
    sent, unknown = blocks.known_s(asked)
    assert sent > 0  # rows to experts and back
    assert unknown == {"plain", "whole", "experts"}
    blocks.estimate(Division.of({"tp": 1, "dp": 8, "ep": 4}))
    known, unknown = blocks.known_s(asked)
    assert known > sent  # attention is alike
    assert unknown == {"experts"}
    found = blocks.estimate(asked)
    total = sum(part.time_s for part in found.parts)
    assert known < total
    assert blocks.known_s(asked) == (pytest.approx(total), frozenset())
