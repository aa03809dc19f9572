"""Cases of fused kernels: checked as they are made, beside what does the same in torch."""

# pyright: basic, reportMissingImports=false

import os
from itertools import islice

import pytest

pytest.importorskip("torch", reason="needs torch and triton")
pytest.importorskip("triton", reason="needs torch and triton")

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before the kernels are defined

from hwmodel.machines.gpu.schedules.cluster_sums import SumTile
from hwmodel.machines.gpu.schedules.grouped_gradients import GradientTile
from hwmodel.machines.gpu.schedules.monarch import MonarchTile
from hwmodel.machines.gpu.schedules.nearest import NearestTile
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_scan import ChunkTile
from hwmodel.machines.gpu.schedules.windows import WindowTile
from hwmodel.validation.measure import fused_shapes as shapes
from hwmodel.validation.measure.arena import POOL_BYTES, Arena, Carver
from hwmodel.validation.measure.fused_calls import CALLS, IN_TORCH
from hwmodel.validation.measure.shapes import Case, feasible
from hwmodel.validation.measure.tiles import with_tile

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CASES = {
    "power_attention": (shapes.POWER, (1, 2, 40, 16, 24), ChunkTile(32, 32, 4)),
    "chunk_scan": (shapes.SCAN, (1, 2, 40, 16, 24), ChunkTile(32, 32, 4)),
    "delta_rule": (shapes.SCAN, (1, 2, 40, 16, 24), ChunkTile(32, 32, 4)),
    "kmeans_assignment": (shapes.MEANS, (60, 10, 16), NearestTile(64, 16, 4)),
    "kmeans_update": (shapes.SUMS, (60, 10, 16, 1), SumTile(32, 4, 1)),
    "fft_convolution": (shapes.LONG, (2, 1, 256, 1), MonarchTile(1, 4)),
    "rational_backward": (shapes.RATIO, (12, 32, 2), GradientTile(8, 4, 4)),
    "depthwise": (shapes.SPOTS, (1, 1, 20, 24, 1, 3, 1, 0, 0, 2, 0), WindowTile(32, 32, 4)),
    "norm_quantise": ("rows cols", (6, 50), RowTile(64, 2)),
}


def case_of(family):
    names, values, tile = CASES[family]
    dtype = "fp16" if family == "fft_convolution" else "fp32"
    return with_tile(Case(family, "triton", dtype, shapes.shape(names, *values)), tile)


def carver():
    """Small pools, each of one run of random numbers, so that two carvers hand out the same."""
    torch.manual_seed(3)
    return Carver(Arena(device=DEVICE, capacity_bytes=dict.fromkeys(POOL_BYTES, 1 << 18)))


def outputs(call):
    made = call()
    return made if isinstance(made, tuple) else (made,)


@pytest.mark.parametrize("family", CALLS)
def test_a_call_notes_how_far_its_first_inputs_are_from_float64(family):
    given = carver()
    assert outputs(CALLS[family](case_of(family), given))
    (error,) = given.facts["relative_error"]
    limit = 3e-3 if family == "fft_convolution" else 0.2 if family == "norm_quantise" else 1e-5
    assert 0 <= error < limit  # of e4m3 all rounding counts
    CALLS[family](case_of(family), given)
    assert len(given.facts["relative_error"]) == 1


@pytest.mark.parametrize("family", IN_TORCH)
def test_torch_does_the_same(family):
    case = case_of(family)
    ours = outputs(CALLS[family](case, carver()))
    if family == "kmeans_assignment":
        case = shapes.assignment_baselines(case)[0]
    theirs = outputs(IN_TORCH[family](case, carver()))
    if family == "norm_quantise":  # scales are a column there
        theirs = (*theirs[:-1], theirs[-1][:, 0])
    if family == "depthwise":  # channels come first there
        theirs = (theirs[0].movedim(1, -1),)
    for each, other in zip(ours, theirs, strict=True):
        gap = (each.double() - other.double()).norm() / other.double().norm()
        assert gap < (0.2 if each.dtype == torch.float8_e4m3fn else 5e-3)


@pytest.mark.parametrize("stage", shapes.STREAMS)
def test_a_stage_begins_with_the_figures_of_its_paper_and_goes_on_with_draws(stage):
    figures = shapes.STREAMS[stage][0]
    first, again = (list(islice(shapes.fused_streams(7)[stage], 120)) for _ in range(2))
    assert first == again
    begun = [c for c in first if figures[0].shape.items() <= c.shape.items()]
    assert begun[0] == first[0]
    assert len(begun) >= 1
    drawn = [c for c in first if not any(f.shape.items() <= c.shape.items() for f in figures)]
    ours = [c for c in drawn if c.kernel == "triton"]
    assert ours
    assert all(feasible(c) for c in ours)
