"""Steps of vLLM on an H200 against rows measured there (0.22.1, 2026-11-28), and what must hold."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel.machines.driver import rested
from hwmodel.machines.gpu.engines.engine import Graphs
from hwmodel.machines.gpu.engines.settled import loads_of
from hwmodel.machines.gpu.engines.step import finished, host_s, step_of, wall_s
from hwmodel.machines.gpu.engines.vllm import ENGINE
from hwmodel.spine.estimate import Estimate

LLAMA = hw.model("llama-3.1-8b")


def step(model: Any = LLAMA, batch: Any = 32, context: Any = 2048, **given: Any) -> Estimate:
    more: dict[str, Any] = {"engine": "vllm", **given}
    return hw.predict(model.decode(batch, context), on="h200", **more)


@pytest.mark.parametrize(
    ("model", "weights", "batch", "context", "measured_s"),
    [
        ("llama-3.1-8b", None, 1, 1843, 4.995e-3),
        ("llama-3.1-8b", None, 64, 758, 7.056e-3),
        ("llama-3.1-8b", "fp8", 8, 1056, 3.854e-3),
        ("qwen3-30b-a3b", None, 64, 758, 18.913e-3),
        ("mixtral-8x7b", None, 24, 2302, 25.595e-3),
    ],
)
def test_decode_steps_are_near_those_measured(
    model: str, weights: str | None, batch: int, context: int, measured_s: float
) -> None:
    made = step(hw.model(model, quantise=weights), batch, context)
    assert_allclose(made.time_s, measured_s, rtol=0.08)
    assert made.time_low_s < measured_s < made.time_high_s


@pytest.mark.parametrize(
    ("batch", "context", "prompt", "measured_s"),
    [
        (32, 1038, 512, 17.2822e-3),
        (16, 1037, 1024, 23.1105e-3),
        (64, 1040, 512, 17.7975e-3),
        (64, 1040, 2048, 48.6922e-3),
    ],
)
def test_mixed_steps_are_near_those_measured(
    batch: int, context: int, prompt: int, measured_s: float
) -> None:
    """Steps of Qwen2.5-7B that no fit saw (sitting 2026-11-28-p), one prompt beside the decodes.

    Short prompts wait for the host, whose speed differs from machine to machine.
    """
    mixed = hw.model("qwen2.5-7b").mixed(batch, context, prompt=prompt)
    made = hw.predict(mixed, on="h200", engine="vllm")
    assert_allclose(made.time_s, measured_s, rtol=0.15 if prompt < 1024 else 0.08)
    assert made.time_low_s < measured_s < made.time_high_s


def test_a_mixed_step_of_one_group_has_that_group_s_kernels_and_no_lone_prompt_s_wait() -> None:
    decode = hw.predict(LLAMA.mixed(32, 2048, prompts=0), on="h200", engine="vllm")
    assert_allclose(decode.busy_time_s, step().busy_time_s, rtol=1e-9)
    prompt = LLAMA.prefill(1, 4096)
    alone = hw.predict(prompt, on="h200", engine="vllm")
    among = hw.predict(LLAMA.mixed(0, prompt=4096), on="h200", engine="vllm")
    assert_allclose(among.busy_time_s, alone.busy_time_s, rtol=0.02)
    assert among.time_s < alone.time_s


def test_a_small_model_waits_for_its_host() -> None:
    small = step(hw.model("qwen2.5-0.5b"), 128, 512)
    assert small.bottleneck == "host"
    assert small.busy_time_s < small.time_s / 1.5
    large = step(hw.model("llama-3.1-8b"), 128, 512)
    assert large.bottleneck != "host"
    assert large.busy_time_s > 0.95 * large.time_s


def test_long_steps_hide_the_host_under_the_kernels() -> None:
    """Only the gap between two graphs is left, under half a millisecond."""
    made = step(batch=64, context=4096)
    assert 0 < made.time_s - made.busy_time_s < 0.5e-3


def test_a_padded_batch_costs_its_captured_size_but_for_attention() -> None:
    three, four = step(batch=3), step(batch=4)
    by_name = [{part.name: part for part in made.parts} for made in (three, four)]
    assert by_name[0]["gate-up"].time_s == by_name[1]["gate-up"].time_s
    assert by_name[0]["attention"].counts.read["dram"] < by_name[1]["attention"].counts.read["dram"]


def test_prompts_beyond_the_graphs_wait_for_launches() -> None:
    prefill = hw.model("qwen2.5-1.5b").prefill(1, 512)
    eager = hw.predict(prefill, on="h200", engine="vllm")
    captured = ENGINE.but(graphs=Graphs((1, 512)))
    graphed = hw.predict(prefill, on="h200", engine=captured)
    assert eager.bottleneck == "host"
    assert graphed.time_s < 0.7 * eager.time_s


def test_many_points_are_answered_as_each_alone() -> None:
    batch, context = np.array([1.0, 7.0, 64.0, 300.0]), np.array([600.0, 3000.0, 1024.0, 512.0])
    together = step(batch=batch, context=context)
    alone = [step(batch=int(b), context=int(c)) for b, c in zip(batch, context, strict=True)]
    assert_allclose(together.time_s, [each.time_s for each in alone], rtol=1e-9)
    assert list(together.bottleneck) == [each.bottleneck for each in alone]


def test_joules_of_a_step_are_no_more_than_the_power_limit_pays_for() -> None:
    made = step(batch=256, context=1024)
    assert made.energy_j / made.time_s < 700
    assert_allclose(sum(made.energy_by_j.values()), made.energy_j, rtol=1e-6)


@pytest.mark.parametrize(
    "phase",
    [
        hw.model("falcon-7b").decode(batch=256, context=1000),
        hw.model("command-r7b").mixed(batch=200, context=1000, prompt=512),
    ],
)
def test_a_host_that_the_gpu_waits_for_leaves_no_more_power_than_the_limit(phase: hw.Stack) -> None:
    """Kernels slowed by the limit fill what they waited for: less waiting, at no more watts."""
    made = hw.predict(phase, on="h200", engine="vllm")
    assert made.energy_j / made.time_s < 700 * 1.001


@pytest.mark.parametrize(
    ("model", "weights", "tokens"),
    [
        ("llama-3.1-8b", None, 917_360),
        ("llama-3.1-8b", "fp8", 970_288),
        ("qwen2.5-1.5b", None, 4_662_416),
        ("qwen3-30b-a3b", None, 764_096),
        ("qwen3-32b", "fp8", 387_936),
        ("mixtral-8x7b", None, 321_776),
        ("qwen3-4b", None, 874_048),
        ("gemma-3-12b", None, 452_889),
        ("gpt-oss-20b", None, 3_321_804),
    ],
)
def test_the_cache_holds_what_the_engine_printed(
    model: str, weights: str | None, tokens: int
) -> None:
    made = step(hw.model(model, quantise=weights), 1, 100)
    assert made.serving is not None
    held = made.serving.memory.kv_capacity_tokens
    assert held is not None
    assert_allclose(held, tokens, rtol=0.03)


def test_states_and_keys_share_blocks_as_large_as_a_state() -> None:
    made = step(hw.model("nemotron-3-nano-30b-a3b"), 1, 100)
    assert made.serving is not None
    held = made.serving.memory.kv_capacity_tokens
    assert held is not None
    # A state is 2,096 tokens' keys: 17,000 take 9 blocks, and four groups of layers one each.
    assert_allclose(held, 7_389_769, rtol=0.03)


def test_a_batch_whose_cache_is_too_large_does_not_fit() -> None:
    made = step(hw.model("mixtral-8x7b"), 64, 8192)
    assert made.serving is not None
    assert made.serving.memory.largest_batch == 322_224 // 8192
    assert not made.fits


@pytest.mark.parametrize(
    ("batch", "context", "told"),
    [(256, 1024, []), (257, 1024, ["257 requests"]), (1, 17_001, ["17,001 tokens of context"])],
)
def test_steps_that_the_engine_would_not_schedule_say_so(
    batch: int, context: int, told: list[str]
) -> None:
    """It is started for 256 requests of 17,000 tokens each."""
    warned = [text for text in step(batch=batch, context=context).warnings if "started" in text]
    assert len(warned) == len(told)
    assert all(words in text for words, text in zip(told, warned, strict=True))


def test_the_answer_names_engine_version_and_flags() -> None:
    assert any(
        text.startswith("engine: vLLM 0.22.1 (gpu_memory_utilization 0.92")
        for text in step().assumptions
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kernel": "cudnn"}, "expected kernels by family"),
        ({"engine": "hf"}, "unknown engine 'hf'"),
        ({"engine": 3}, "engine: expected a name"),
    ],
)
def test_what_no_engine_takes_is_refused(given: Any, told: str) -> None:
    with pytest.raises(hw.HwmodelError, match=told):
        step(**given)


def test_an_engine_runs_phases_of_models_on_gpus() -> None:
    with pytest.raises(hw.HwmodelError, match="expected a phase of a model"):
        hw.predict(hw.workloads.gemm(64, 64, 64), on="h200", engine="vllm")
    with pytest.raises(hw.HwmodelError, match="runs on GPUs"):
        hw.predict(LLAMA.decode(1, 64), on="rk3588", engine="vllm")


def test_kernels_of_a_family_can_be_others() -> None:
    made = step(kernel={"attention": "flash-attention-2"})
    assert {p.family for p in made.parts if p.name == "attention"} == {"decode:flash-attention-2"}


def test_a_checkpoint_in_fp32_is_loaded_as_bf16() -> None:
    sizes = {"hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000}
    config = {"model_type": "llama", **sizes, **heads}
    wide, half = (
        step(hw.model({**config, "torch_dtype": name})) for name in ("float32", "bfloat16")
    )
    assert wide.time_s == half.time_s
    assert any("fp32 overruled" in text for text in wide.warnings)


def test_an_encoder_has_no_cache_to_serve_from() -> None:
    sizes = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "vocab_size": 1000, "max_position_embeddings": 512}
    bert = hw.model({"model_type": "bert", "torch_dtype": "float16", **sizes, **heads})
    with pytest.raises(hw.CoverageError, match="keeps no cache"):
        hw.predict(bert.prefill(1, 128), on="h200", engine="vllm")


def test_heads_wider_than_its_attention_takes_are_a_prior() -> None:
    wide = {"head_dim": 512, "num_attention_heads": 8, "num_key_value_heads": 2}
    made = hw.predict(LLAMA.but(**wide).prefill(1, 512), on="h200", engine="vllm")
    assert any("latent-attention" in text for text in made.warnings)


def test_the_host_launches_what_joins_devices_too() -> None:
    """Llama-3.1-8B joins sums twice in each of 32 layers: 128 launches more, of 53 us each."""
    short = LLAMA.prefill(1, 512)
    one, two = (
        hw.predict(short, on=f"h200 * {tp}", engine="vllm", parallel={"tp": tp}) for tp in (1, 2)
    )
    waits = [
        next(float(part.busy_s["host"]) for part in each.parts if part.name == "host")
        for each in (one, two)
    ]
    assert waits[1] - waits[0] == pytest.approx(128 * 53e-6, rel=1e-6)


def test_an_engine_that_narrows_what_layers_read_leaves_none_of_its_kernels_out() -> None:
    narrow = hw.model("llama-3.1-8b", quantise="fp8").decode(8, 1000)
    said = [hw.predict(narrow, on="h200", engine=engine).warnings for engine in (None, "vllm")]
    left = [any("are left out" in text for text in each) for each in said]
    assert left == [True, False]


@pytest.mark.parametrize(("name", "batch"), [("deepseek-v2-lite", 8), ("llama-3.1-8b", 256)])
def test_seconds_by_the_wall_are_the_sum_of_the_parts_of_a_step(name: str, batch: int) -> None:
    """At other costs of the host; shared experts run beside the choice of routed ones."""
    machine, work = hw.device("h200"), hw.model(name).decode(batch, 2048)
    asked, parts = step_of(work, machine, ENGINE), rested(work, machine, ENGINE)
    for changed in ({"step": 0.03, "dynamic": 1.3}, {"step": 1e-6, "dynamic": 1.1}):
        costs = {**ENGINE.host.values, **changed}
        made = finished(asked, parts, machine, costs)
        found = wall_s(asked, loads_of(parts, machine), costs)
        assert_allclose(found, sum(part.times * part.time_s for part in made), rtol=1e-12)


@pytest.mark.parametrize(
    ("config", "on", "layers", "more"),
    [
        ("gpt-oss-20b", "h200", 24, "gathered"),
        ("gpt-oss-20b", "b200", 24, "mixture"),
        ("qwen3-30b-a3b", "h200", 48, "mixture"),
    ],
)
def test_the_host_of_experts_is_that_of_their_products(
    config: str, on: str, layers: int, more: str
) -> None:
    """A prompt beyond all graphs: launches of each kernel, and what each layer of experts adds."""
    costs = dict.fromkeys(ENGINE.host.values, 0.0)
    made = step_of(hw.model(config).prefill(1, 300), hw.device(on), ENGINE)
    assert host_s(made, {**costs, more: 1e-3})[0] == pytest.approx(layers * 1e-3)
    other = {"gathered": "mixture", "mixture": "gathered"}[more]
    assert host_s(made, {**costs, other: 1e-3})[0] == 0
