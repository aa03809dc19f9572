"""Re-ttention: a sparse pass of a diffusion transformer, and what restores its results."""

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import model

VIDEO = {
    **{"_class_name": "DiTTransformer2DModel", "num_layers": 4, "num_attention_heads": 30},
    **{"attention_head_dim": 64, "in_channels": 16, "sample_size": 64, "patch_size": 2},
}


def test_results_are_restored_by_two_reads_beside_them() -> None:
    step = model(VIDEO, dtype="bf16", modifier="re-ttention").prefill(2, 4096)
    (restored,) = (part for part in hw.predict(step, "h200").parts if "restored" in part.name)
    matrix = 2 * 30 * 4096 * 64 * 2  # bytes of the results of all heads
    ratios = 2 * 30 * 4096 * 4
    assert restored.counts.read["dram"] == pytest.approx(2 * matrix + ratios)
    assert restored.counts.written["dram"] == pytest.approx(matrix)


def test_a_sparse_pass_saves_most_of_attention_and_nothing_else() -> None:
    plain = hw.predict(model(VIDEO, dtype="bf16").prefill(2, 16384), "h100")
    sparse = hw.predict(
        model(VIDEO, dtype="bf16", modifier="re-ttention").prefill(2, 16384), "h100"
    )
    ours = ("attention", "attention, window", "restored results")
    rest = [
        {part.name: (part.times, part.time_s) for part in made.parts if part.name not in ours}
        for made in (plain, sparse)
    ]
    assert rest[0] == rest[1]
    assert sparse.time_s < plain.time_s
