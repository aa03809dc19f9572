"""Steps read from tables are those that `predict` gives, whatever their sizes."""

from dataclasses import replace
from functools import cache

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.ends import paced
from hwmodel.systems.serving.step_times import EngineSteps, Largest, fullest, step_times
from tests.thorough import but_first

SMALL = Largest(tokens=2048, sequences=128, context=8192)
MODEL = hw.model("llama-3.1-8b")


@cache
def steps() -> EngineSteps:
    return step_times(MODEL, "h200", largest=SMALL)


@pytest.mark.parametrize(("batch", "context"), [(1, 77), (17, 1234), (100, 555)])
def test_a_step_of_decode_is_what_predict_says_of_sizes_off_the_grid(
    batch: int, context: int
) -> None:
    exact = hw.predict(MODEL.decode(batch=batch, context=context), "h200", engine="vllm")
    step = Batch(decodes=batch, keys=batch * context)
    assert steps().seconds(step) == pytest.approx(float(exact.time_s), rel=0.02)
    assert steps().joules(step) == pytest.approx(float(exact.energy_j), rel=0.03)


@pytest.mark.parametrize(
    ("batch", "context", "prompts", "tokens", "cached"),
    [(20, 800, 1, 500, 1), (3, 4000, 2, 170, 1), (60, 300, 1, 1900, 3000), (5, 100, 3, 9, 2000)],
)
def test_a_step_that_reads_prompts_too_is_what_predict_says(
    batch: int, context: int, prompts: int, tokens: int, cached: int
) -> None:
    work = MODEL.mixed(batch, context, prompts=prompts, prompt=tokens + cached, cached=cached)
    exact = hw.predict(work, "h200", engine="vllm")
    pairs = sum(cached + each for each in range(1, tokens + 1)) * prompts
    step = Batch(batch, batch * context, prompts, prompts * tokens, pairs)
    assert steps().seconds(step) == pytest.approx(float(exact.time_s), rel=0.03)
    assert steps().joules(step) == pytest.approx(float(exact.energy_j), rel=0.04)


@pytest.mark.parametrize(
    ("model", "on", "parallel"),
    but_first(
        2,
        [
            ("llama-3.1-70b", "h100", {"tp": 4}),
            ("mixtral-8x7b", "h100", {"tp": 2}),
            ("qwen3-30b-a3b", "rtx-pro-6000", None),
            ("llama-3.1-8b", "rtx-4090", None),
            ("deepseek-v3", "h200", {"tp": 8, "ep": 8}),
            ("llama-3.1-70b", "b200", {"tp": 2, "pp": 2}),
        ],
    ),
)
def test_tables_of_any_gpu_and_division_agree_with_predict_within_the_tolerance(
    model: str, on: str, parallel: dict[str, int] | None
) -> None:
    made = step_times(hw.model(model), on, parallel=parallel, largest=SMALL)
    assert made.errors is not None
    assert made.errors.steps >= 300
    assert made.errors.mean < 0.01
    assert made.errors.p95 < 0.03
    assert made.interval[0] < 1 < made.interval[1]


def test_a_slow_host_is_waited_for_where_kernels_do_not_hide_it() -> None:
    """600 tokens without a graph are bound by launches, 2,000 beyond a long prefix by kernels."""
    slow = paced(replace(steps(), hosts=(1.0, 4.0), interval=(1.0, 1.0)), 1)  # 4 ** 0.5: twice
    short, long = Batch(1, 99, 1, 600, 600**2 // 2), Batch(1, 99, 1, 2000, 2000 * 7000)
    assert slow.seconds(short) == pytest.approx(2 * steps().seconds(short), rel=0.05)
    assert slow.seconds(long) < 1.3 * steps().seconds(long)
    kernels = paced(replace(steps(), hosts=(1.0, 1.0), decoding=(1.0, 1.2)), 1)
    assert (
        1.15 < kernels.seconds(Batch(64, 64 * 2000)) / steps().seconds(Batch(64, 64 * 2000)) < 1.2
    )


def test_an_engine_whose_graphs_hold_large_steps_has_tables_as_good() -> None:
    largest = Largest(tokens=8192, sequences=1024, context=4096)
    made = step_times(MODEL, "h100", engine="trtllm", largest=largest)
    assert made.errors is not None
    assert made.errors.mean < 0.01
    assert not any("tables of steps" in text for text in made.warnings)


def test_a_step_is_padded_to_the_next_captured_size() -> None:
    """On the same keys nothing but attention and sampling, a few per cent, tells 9 from 16."""
    nine, sixteen, more = (steps().seconds(Batch(n, 16000)) for n in (9, 16, 17))
    assert nine == pytest.approx(sixteen, rel=0.04)
    assert more > sixteen


def test_the_cache_is_what_the_share_of_the_memory_leaves() -> None:
    """A token takes 32 layers of 8 heads of 128, of keys and of values, of two bytes."""
    whole = hw.device("h200").memory("dram").capacity_bytes
    some, more = (
        step_times(MODEL, "h200", kv_memory_fraction=share, largest=SMALL, tolerance=0).kv_tokens
        for share in (0.9, 0.91)
    )
    assert more - some == pytest.approx(whole / 100 / (32 * 8 * 128 * 2 * 2), abs=16)


def test_drafts_cost_more_than_a_step_and_less_than_steps_one_by_one() -> None:
    verifying = step_times(MODEL, "h200", largest=SMALL, draft=Drafts.reading(4))
    one, verified = (each.seconds(Batch(16, 16000)) for each in (steps(), verifying))
    assert one < verified < 4 * one
    step = MODEL.decode(16, 1000, draft={"tokens": 3, "acceptance": 0})
    assert verified == pytest.approx(hw.predict(step, on="h200", engine="vllm").time_s, rel=0.01)
    assert verifying.errors is not None
    assert verifying.errors.mean < 0.01


def test_nothing_to_do_takes_no_time() -> None:
    assert steps().seconds(Batch()) == 0
    assert steps().joules(Batch()) == 0


def test_what_tables_do_not_hold_is_refused() -> None:
    with pytest.raises(InputError, match="at most 2048 tokens and 128 sequences"):
        steps().seconds(Batch(prompts=1, new=4096, pairs=1))
    with pytest.raises(InputError, match="new tokens of prompts"):
        steps().seconds(Batch(new=10))
    with pytest.raises(CapacityError, match="leave no cache"):
        step_times(hw.model("llama-3.1-70b"), "h100")
    with pytest.raises(InputError, match="runs whole models"):
        step_times(MODEL, "h200", engine="torch")


def test_the_fullest_rank_is_what_all_are_taken_to_be() -> None:
    """Nine sequences and three prompts on four ranks: three and one on the fullest."""
    step = Batch(decodes=9, keys=900, prompts=3, new=600, pairs=60300)
    assert fullest(step, 4) == Batch(decodes=3, keys=300, prompts=1, new=200, pairs=20100)
    assert fullest(step, 1) is step
    assert fullest(step, 4, 150).new == 150  # of its budget


def test_ranks_that_attend_apart_are_told_by_what_each_of_them_has() -> None:
    """Of eight ranks with a prompt each a step is what `predict` says of eight prompts."""
    llm = hw.model("deepseek-v3")
    ways = {"dp": 8, "ep": 8}
    made = step_times(llm, "h200", parallel=ways, largest=Largest(2048, 64, 4096), tolerance=0)
    both = llm.mixed(batch=80, context=1500, prompts=8, prompt=700, parallel=ways)
    exact = hw.predict(both, "h200", engine="vllm")
    step = Batch(80, 80 * 1500, 8, 8 * 700, 8 * 700 * 701 // 2)
    assert made.seconds(step) == pytest.approx(float(exact.time_s), rel=0.03)
