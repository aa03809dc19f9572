"""Stages of a sitting are what the libraries say, and each has cases."""

import pytest

from hwmodel.machines.gpu.libraries.shipped import SHIPPED
from hwmodel.validation.measure.cases import all_streams
from hwmodel.validation.measure.sittings import OF_LIBRARIES, STAGES, planned
from hwmodel.validation.plan import PLAN


def test_the_plan_for_a_users_gpu_measures_what_most_predictions_need_first() -> None:
    """Seconds, seeds and stages of the plan that calibrated a GPU in 7 min 52 s."""
    assert [(each.stages, each.seconds, each.seed) for each in PLAN] == [
        (("anchors", "gemm", "prefill-flash", "decode-flash", "rows"), 75, 11),
        (("gemm-other", "gemm-fp8", "prefill-cudnn", "decode-cudnn", "moe"), 110, 12),
        (("gemm", "prefill-flash", "decode-flash", "rows", "moe"), 90, 13),
        (("energy", "counters"), 100, 14),
    ]
    assert planned("never") == ()


def test_a_sitting_begins_and_ends_with_anchors_around_the_libraries() -> None:
    stages = [*STAGES]
    assert stages[0] == "anchors"
    assert stages[1 + len(OF_LIBRARIES)] == "anchors-again"
    assert sum(each.launches for each in STAGES.values()) == 7_010
    assert {n: s.counters for n, s in STAGES.items() if s.counters} == {
        **{"triton-gemm": 24, "triton-attention": 14, "triton-decode": 10}
    }


def test_libraries_that_share_a_stage_say_the_same_of_it() -> None:
    said = [each.measured.stages for each in SHIPPED.values() if each.measured]
    for stages in said:
        assert stages == {name: OF_LIBRARIES[name] for name in stages}
    assert sum(map(len, said)) == len(OF_LIBRARIES) + 1  # fp8-rows, with and without fast sums


def test_every_stage_of_a_library_has_cases() -> None:
    pytest.importorskip("torch", reason="cases of our own kernels need torch")
    assert set(OF_LIBRARIES) <= set(all_streams(0))
