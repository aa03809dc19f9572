"""Floors of engines, counted by hand from weights and rates."""

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.deployments.bounds import Bounds
from hwmodel.mappers.deployments.kinds import kinds
from hwmodel.mappers.deployments.traffic import Promise, Traffic

LLAMA, H100 = model("llama-3.1-70b"), device("h100")
KINDS = list(kinds(LLAMA, [H100], 8))
FOUR = next(k for k in KINDS if k.ways.tp == 4 and k.ways.pp == 1 and k.weights == "bf16")


def test_a_step_reads_the_weights_at_least() -> None:
    """70.6 G parameters less the embedding's 128,256 x 8,192, in bf16, at 3.35 TB/s of each."""
    floor = Bounds(Traffic(1, 1000, 100), 8192).of(FOUR)
    assert floor is not None
    weights = (70.554e9 - 128256 * 8192) * 2
    assert floor.steps_s[0] == pytest.approx(weights / (4 * 3.35e12), rel=0.02)


def test_seventy_billion_parameters_do_not_fit_one_device() -> None:
    one = next(k for k in KINDS if k.devices == 1 and k.weights == "bf16")
    assert Bounds(Traffic(1, 1000, 100), 8192).ruled_out(one, 1, Promise())[0] == "memory"


def test_more_prompts_than_operations_are_ruled_out() -> None:
    """A prompt of 10,000 tokens is 1.4 PFLOP: the four do some 2.8 to 5.6 a second, if in fp8."""
    many, few = Traffic(8, 10_000, 2), Traffic(1, 10_000, 2)
    assert Bounds(many, 16384).ruled_out(FOUR, 1, Promise())[0] == "prefill"
    assert Bounds(few, 16384).ruled_out(FOUR, 1, Promise())[0] is None


def test_answers_that_no_bandwidth_makes_are_ruled_out() -> None:
    """A promise of 5 ms is below the 10 ms in which weights alone are read."""
    bounds = Bounds(Traffic(1, 1000, 100), 8192)
    assert bounds.ruled_out(FOUR, 1, Promise(tpot_s=0.005))[0] == "tpot"
    assert bounds.ruled_out(FOUR, 1, Promise(tpot_s=0.02))[0] is None
    huge = Bounds(Traffic(500, 1000, 1000), 8192)
    assert huge.ruled_out(FOUR, 1, Promise(), reads=False)[0] == "decode"
