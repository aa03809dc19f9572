"""Fused row kernels on an H200 against rows measured (vLLM 0.22.1, 2026-11-28), a call each."""

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.machines.gpu.engines import fused

H200 = hw.device("h200")


def norm(rows: int, out: str = "bf16") -> Cascade:
    return fused.norm(rows, 4096, "bf16", out=out, added=True, name="norm")


def gate(rows: int, out: str = "bf16") -> Cascade:
    return fused.gated(rows, 14336, "bf16", out=out, name="gate")


@pytest.mark.parametrize(
    ("made", "measured_s"),
    [
        (norm(1), 2.07e-6),
        (norm(2048), 16.3e-6),
        (norm(64, "fp8"), 3.93e-6),
        (gate(64), 2.11e-6),
        (gate(2048), 40.65e-6),
        (gate(64, "fp8"), 5.03e-6),
        (fused.rotary(64, 40, 128, "bf16", "rotary"), 1.92e-6),
        (fused.cached(64, 16, 128, "bf16", "bf16", "write"), 2.34e-6),
        (fused.cached(2048, 16, 128, "bf16", "bf16", "write"), 18.6e-6),
    ],
    ids=lambda value: value.name if isinstance(value, Cascade) else "",
)
def test_fused_kernels_take_about_what_was_measured(made: Cascade, measured_s: float) -> None:
    """They are a few percent of a step: within two fifths."""
    assert hw.predict(made, on=H200, kernel="vllm").time_s == pytest.approx(measured_s, rel=0.4)


def test_narrowing_takes_one_more_walk_over_the_row() -> None:
    times = [
        float(hw.predict(norm(1, out), on=H200, kernel="vllm").time_s) for out in ("bf16", "fp8")
    ]
    assert times[1] > 1.3 * times[0]


GROUPS = "fp8@128:32"


@pytest.mark.parametrize(
    ("made", "measured_s"),
    [
        (norm(1, GROUPS), 5.98e-6),
        (norm(256, GROUPS), 7.90e-6),
        (norm(8192, GROUPS), 165.7e-6),
        (fused.norm(64, 2048, "bf16", out=GROUPS, added=True, name="norm"), 4.07e-6),
        (fused.norm(8192, 2048, "bf16", out=GROUPS, added=True, name="norm"), 96.9e-6),
        (fused.gated(1, 12288, "bf16", out=GROUPS, name="gate"), 1.75e-6),
        (fused.gated(256, 12288, "bf16", out=GROUPS, name="gate"), 20.1e-6),
        (fused.gated(8192, 12288, "bf16", out=GROUPS, name="gate"), 599.4e-6),
        (fused.gated(65536, 768, "bf16", out=GROUPS, name="gate"), 295.5e-6),
        (fused.narrowed(64, 4096, "bf16", out=GROUPS, name="narrow"), 2.52e-6),
        (fused.narrowed(8192, 4096, "bf16", out=GROUPS, name="narrow"), 60.9e-6),
    ],
)
def test_rows_narrowed_by_groups_take_about_what_was_measured(
    made: Cascade, measured_s: float
) -> None:
    """Kernels of Qwen3-8B's and 30B-A3B's steps in fp8 by blocks (0.22.1, 2026-11-29)."""
    assert hw.predict(made, on=H200, kernel="vllm").time_s == pytest.approx(measured_s, rel=0.25)


def test_groups_of_sixteen_do_not_each_start_a_block() -> None:
    """A gate of nvfp4 writes a quarter of what one of bf16 does, in 896 groups a row."""
    on = hw.device("b200")
    plain, narrow = (
        hw.predict(gate(512, out), on=on, kernel="vllm").time_s for out in ("bf16", "nvfp4")
    )
    assert narrow < 2 * plain
