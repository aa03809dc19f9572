"""Steps of training: memory to published digits, laws of dividing, published rates of Megatron."""

import json
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.training import training
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.systems.training.step import predicted
from hwmodel.systems.training.trained import Trained
from hwmodel.verbs.cases import predict_lines

GIB = 2**30
LLAMA: dict[str, Any] = {"config": "llama-3.1-8b", "sequence": 4096, "global_batch": 64}


def gpt(layers: int, hidden: int, heads: int) -> dict[str, Any]:
    sizes = {"n_layer": layers, "n_embd": hidden, "n_head": heads}
    return {"model_type": "gpt2", "n_positions": 2048, "vocab_size": 51200, **sizes}


def step(on: str = "h100", **given: Any) -> Trained:
    return hw.predict(training(**{**LLAMA, **given}), on=on)  # pyright: ignore


MEGATRON = [
    # layers, hidden, heads, tp, pp, batch, micro-batch, chunks; GiB of activations without and
    # with sequence parallelism and selective recomputation; seconds of full and of selective
    # (Korthikanti et al., arXiv 2205.05198)
    (48, 6144, 64, 8, 1, 4, 4, 1, 59.25, 9.5625, 1.42, 1.10),
    (96, 12288, 96, 8, 8, 64, 1, 3, 66.84375, 12.3515625, 18.13, 13.75),
    (105, 20480, 128, 8, 35, 280, 1, 3, 114.0234375, 23.076171875, 49.05, 37.83),
    (128, 25600, 160, 8, 64, 512, 1, 1, 131.25, 26.5625, 94.42, 71.49),
]


@pytest.mark.parametrize("row", MEGATRON, ids=["22B", "175B", "530B", "1T"])
def test_activations_are_megatrons_to_the_digit_and_seconds_within_a_tenth(row: Any) -> None:
    layers, hidden, heads, tp, pp, batch, micro, vp, whole, lean, full_s, lean_s = row
    given = {"config": gpt(layers, hidden, heads), "sequence": 2048, "global_batch": batch}
    given |= {"micro_batch": micro, "tp": tp, "pp": pp, "vp": vp, "dp": 1}
    given |= {"attention": "core", "dropout": True}
    plain = step("a100", **given)
    assert plain.activations_bytes / GIB == whole
    selective = step("a100", **given, sp=True, recompute="selective")
    assert selective.activations_bytes / GIB == lean
    assert selective.step_time_s == pytest.approx(lean_s, rel=0.12)
    full = step("a100", **given, recompute="full")
    assert full.step_time_s == pytest.approx(full_s, rel=0.12)
    assert full.activations_bytes < selective.activations_bytes


def test_states_are_eighteen_bytes_a_parameter_divided_by_stages_of_zero() -> None:
    parameters = hw.model("llama-3.1-8b").parameters
    by_stage = [step(dp=8, zero=stage) for stage in (0, 1, 2, 3)]
    parts = [(s.weights_bytes, s.gradients_bytes, s.optimizer_bytes) for s in by_stage]
    assert parts[0] == (2 * parameters, 4 * parameters, 12 * parameters)
    assert parts[1] == (2 * parameters, 4 * parameters, 12 * parameters / 8)
    assert parts[2] == (2 * parameters, 4 * parameters / 8, 12 * parameters / 8)
    layer = 2 * (4096 + 14336 * 4096 * 3 // 2) + 4096 * (4096 + 1024) * 2
    ends = 128256 * 4096 + 4096
    assert parts[3][0] == pytest.approx(4 * parameters / 8 + 2 * 2 * max(layer, ends))
    assert parts[3][1:] == (4 * parameters / 8, 8 * parameters / 8)


def test_flops_are_those_of_three_forward_passes_and_mfu_their_share_of_the_peak() -> None:
    """Of gpt2-like layers 72 B s l h^2 (1 + s / 6h + V / 12 l h) (arXiv 2104.04473)."""
    found = step("a100", config=gpt(24, 2304, 24), sequence=2048, global_batch=512, dp=32)
    b, s, layers, h, v = 512, 2048, 24, 2304, 51200
    wanted = 72 * b * s * layers * h**2 * (1 + s / (6 * h) + v / (12 * layers * h))
    assert found.model_flops == pytest.approx(wanted, rel=1e-12)
    assert found.mfu == pytest.approx(wanted / found.step_time_s / 32 / 312e12)


def test_dividing_keeps_the_work_and_adds_waits() -> None:
    alone = step(dp=1, micro_batch=2)
    assert alone.bubble == alone.exposed_communication_s == 0
    assert alone.devices == 1
    replicas = step(dp=8, micro_batch=2)
    assert replicas.step_time_s > alone.step_time_s / 8
    assert replicas.model_flops == pytest.approx(alone.model_flops)
    tensor = step(dp=1, tp=8, micro_batch=2)
    assert tensor.exposed_communication_s > 0
    assert tensor.weights_bytes < alone.weights_bytes / 7
    piped = step(dp=1, pp=4, micro_batch=2)
    assert 0.05 < piped.bubble < 0.3
    interleaved = step(dp=1, pp=4, vp=4, micro_batch=2)
    assert interleaved.bubble < piped.bubble
    assert interleaved.activations_bytes > piped.activations_bytes
    again = step(dp=1, recompute="full", micro_batch=2)
    assert 1.2 < again.step_time_s / alone.step_time_s < 1.4
    assert again.activations_bytes < alone.activations_bytes / 8


def test_narrow_states_spare_their_bytes_and_gradients_half_of_what_is_exchanged() -> None:
    """Of 8 replicas: 2 bytes of a gradient less, and an eighth of 6 of states."""
    wide = step(dp=8, zero=1)
    narrow = step(dp=8, zero=1, gradient_dtype="bf16", state_dtype="int8")
    parameters = wide.weights_bytes / 2
    assert wide.gradients_bytes - narrow.gradients_bytes == pytest.approx(2 * parameters)
    assert wide.optimizer_bytes - narrow.optimizer_bytes == pytest.approx(6 * parameters / 8)
    assert narrow.step_time_s < wide.step_time_s
    sharded = step(dp=8, zero=3, gradient_dtype="bf16")
    assert sharded.gradients_bytes == step(dp=8, zero=3).gradients_bytes  # the format of the copy
    own = step(dp=8, zero=3, copy_dtype="none")
    spared = step(dp=8, zero=3).weights_bytes - own.weights_bytes
    assert spared == pytest.approx(2 * parameters / 8)


def test_stages_that_share_the_vocabulary_have_equal_parts_of_both_ends() -> None:
    """Eight stages of four layers: parameters, and seconds that ranks need, are an eighth each."""
    given: dict[str, Any] = {"dp": 1, "pp": 8, "zero": 0, "global_batch": 16}
    ends, shared = step(**given), step(**given, vocabulary="stages")
    assert shared.weights_bytes == pytest.approx(2 * 8_030_261_248 / 8, rel=1e-3)
    assert ends.weights_bytes > 1.2 * shared.weights_bytes
    assert sum(shared.busy_s.values()) == pytest.approx(sum(ends.busy_s.values()), rel=0.01)
    assert shared.bubble == pytest.approx(7 / (16 + 7), abs=0.01)
    assert shared.step_time_s < ends.step_time_s
    kept = shared.activations_bytes / ends.activations_bytes
    assert kept == pytest.approx((8 + 2) / 8, rel=1e-6)
    others: list[dict[str, Any]] = [{"pp": 1}, {"schedule": "zb-h1"}]
    for other in others:
        with pytest.raises(InputError, match="vocabulary: expected pp of 2 or more"):
            step(**{**given, **other}, vocabulary="stages")


def test_the_first_layers_of_each_chunk_are_computed_again() -> None:
    """Of 32 equal layers: seconds, and bytes kept, lie on the line between both ends."""
    given: dict[str, Any] = {"dp": 1, "micro_batch": 2, "zero": 0, "graphs": True}
    shapes: list[tuple[dict[str, Any], int]] = [({}, 32), ({"pp": 4}, 8), ({"pp": 4, "vp": 2}, 4)]
    for more, chunk in shapes:
        ways: dict[str, Any] = {**given, **more}
        none, full = step(**ways), step(**ways, recompute="full")
        some = step(**ways, recompute="full", recompute_layers=chunk // 4)
        for name in ("step_time_s", "activations_bytes"):
            ends = getattr(none, name), getattr(full, name)
            assert getattr(some, name) == pytest.approx(0.75 * ends[0] + 0.25 * ends[1], rel=0.02)
        assert (
            step(**ways, recompute="full", recompute_layers=chunk).step_time_s == full.step_time_s
        )
    with pytest.raises(InputError, match="recompute_layers: expected recompute=selective or"):
        step(**given, recompute_layers=2)


@pytest.mark.parametrize(
    "name", ["gpipe", "1f1b", "zb-h1", "zb-h2", "zb-v", "v-half", "v-min", "dualpipe-v"]
)
def test_every_schedule_takes_no_less_than_its_stages(name: str) -> None:
    vp = 2 if name in ("zb-v", "v-half", "v-min", "dualpipe-v") else 1
    found = step(dp=1, pp=4, vp=vp, schedule=name)
    other = step(dp=1, pp=4)
    assert 0 <= found.bubble < 0.3
    assert found.step_time_s < 1.2 * other.step_time_s


def test_experts_are_held_once_in_their_group_and_exchanged() -> None:
    given: dict[str, Any] = {"config": "mixtral-8x7b", "dp": 8, "global_batch": 1024}
    together, apart = step(**given), step(**given, ep=8)
    experts = 32 * 8 * 3 * 4096 * 14336
    assert together.weights_bytes - apart.weights_bytes == 2 * experts * 7 / 8
    assert apart.exposed_communication_s > together.exposed_communication_s


MIXTURE: dict[str, Any] = {
    **{"config": "qwen3-30b-a3b", "sequence": 4096, "dp": 16, "ep": 16},
    **{"global_batch": 256, "zero": 1},
}


def test_tokens_beside_kernels_are_waited_for_less_and_copies_more() -> None:
    graphs: dict[str, Any] = {**MIXTURE, "graphs": True, "micro_batch": 4}
    plain, beside = step(**graphs), step(**graphs, overlap="two-batch")
    copied = step(**graphs, dispatch="all-to-all")
    assert beside.exposed_communication_s < plain.exposed_communication_s
    assert plain.exposed_communication_s < copied.exposed_communication_s
    assert beside.step_time_s < plain.step_time_s < copied.step_time_s


def test_a_host_that_launches_kernels_one_by_one_paces_small_micro_batches() -> None:
    """Without graphs a layer takes as long to launch whatever its tokens are."""
    given: dict[str, Any] = {**MIXTURE, "dtype": "fp8", "ep": 8}
    seconds = [step(**given, micro_batch=m).step_time_s * m for m in (1, 2)]
    assert seconds[1] / seconds[0] < 1.2
    replayed = [step(**given, micro_batch=m, graphs=True).step_time_s * m for m in (1, 2)]
    assert replayed[0] < seconds[0]
    assert replayed[1] / replayed[0] > 1.8


def test_dualpipe_has_tokens_of_one_pass_beside_the_kernels_of_another() -> None:
    given: dict[str, Any] = {"config": "deepseek-v3", "sequence": 4096, "devices": 1024}
    given |= {"global_batch": 16 * 64 * 4, "ep": 64, "pp": 16, "zero": 1, "dtype": "fp8"}
    plain, paired = step(**given, graphs=True), step(**given, graphs=True, schedule="dualpipe")
    assert paired.exposed_communication_s < 0.75 * plain.exposed_communication_s
    assert paired.step_time_s < 0.85 * plain.step_time_s
    dense: dict[str, Any] = {"dp": 1, "pp": 4, "micro_batch": 2}
    alone = step(**dense, schedule="dualpipe")
    assert alone.step_time_s > step(**dense, schedule="1f1b").step_time_s * 0.8


def test_recurrences_take_part_in_a_step() -> None:
    """Their scans leave a state, which no cache keeps here; a step is no faster for it."""
    found = step(config="nemotron-3-nano-30b-a3b", sequence=8192, dp=8, ep=8, global_batch=64)
    assert any("scan" in text for text in (*found.warnings, *found.assumptions))


def test_a_case_says_the_same_as_python_and_devices_fix_the_replicas() -> None:
    case = {**LLAMA, "workload": "training", "on": "h100", "devices": 64, "tp": 2, "pp": 2, "sp": 2}
    case |= {"zero": 1, "dtype": "fp8", "optimizer": "adam", "schedule": "1f1b"}
    (answer,) = predict_lines([json.dumps(case)])
    given: dict[str, Any] = {n: v for n, v in case.items() if n not in ("workload", "on")}
    found = step(**given)
    assert found.execution.dp == 16
    wanted = found.record()
    for name in ("step_time_s", "tokens_per_s_per_device", "mfu", "bubble", "memory_bytes"):
        assert answer[name] == wanted[name]
    assert str(found).startswith("llama-3.1-8b training on 64 x NVIDIA H100")
    assert repr(found).startswith("<Trained: llama-3.1-8b training on 64 x")
    assert "MFU" in found._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert "sequences of 4,096 tokens" in str(training(**given))


def test_a_case_of_a_mixture_counts_its_replicas_before_experts_are_divided_over_them() -> None:
    """16 replicas are what 64 devices leave of pp 4; a line says devices and no dp."""
    case: dict[str, Any] = {"config": "gpt-oss-120b", "sequence": 4096, "global_batch": 1280}
    case |= {"devices": 64, "pp": 4, "ep": 8, "micro_batch": 1, "zero": 1, "dispatch": "all-to-all"}
    line = {**case, "workload": "training", "on": "h100"}
    (answer,) = predict_lines([json.dumps(line)])
    found = step(**case)
    assert found.execution.dp == 16
    assert answer["step_time_s"] == found.step_time_s
    (apart,) = predict_lines([json.dumps({**line, "ep": 3})])
    assert "ep" in apart["error"]


def test_modules_that_predict_further_tokens_are_trained_as_the_config_says() -> None:
    """Megatron-Bridge publishes 1635 TFLOP/s at 6288 tokens/s, of pairs that masks leave alone."""
    given: dict[str, Any] = {"config": "deepseek-v3", "sequence": 4096, "devices": 32, "ep": 32}
    given |= {"global_batch": 32, "zero": 1, "dtype": "fp8"}
    trained, without = step("gb300", **given), step("gb300", **given, mtp=0)
    masked = 62 * 128 * (192 + 128) * 4096 * 3
    assert trained.model_flops / 4096 / 32 - masked == pytest.approx(1635e12 / 6288, rel=0.005)
    experts, shared = 256 * 3 * 7168 * 2048, 3 * 7168 * 2048 + 256 * 7168
    attention = 7168 * 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 * 128 * 256 + 128 * 128 * 7168
    more = experts / 32 + shared + attention + 14336 * 7168
    assert trained.weights_bytes - without.weights_bytes == pytest.approx(2 * more, rel=1e-3)
    assert trained.step_time_s > 1.02 * without.step_time_s
    with pytest.raises(InputError, match="mtp"):
        step(mtp=-1)


def test_what_does_not_fit_is_said_and_what_is_not_legal_refused() -> None:
    short = step(dp=1)
    assert not short.fits
    assert short.short_by_bytes == pytest.approx(short.memory_bytes - 79.1 * 2**30)
    assert any(text.startswith("does not fit") for text in short.warnings)
    with pytest.raises(InputError, match="multiple of tp x cp x pp"):
        step(tp=8, pp=3, devices=64)
    with pytest.raises(InputError, match="query heads"):
        step(tp=3, dp=1)
    with pytest.raises(InputError, match="global_batch"):
        step(dp=48)
    with pytest.raises(CoverageError, match="encoders with decoders"):
        step(config="t5-base", sequence=512, dp=1)
    with pytest.raises(CoverageError, match="fp8"):
        step("a100", dtype="fp8", dp=1)


LINE: dict[str, Any] = {
    **{"workload": "training", "config": "llama-3.1-8b", "sequence": 2048, "global_batch": 16},
    "devices": 8,
}


def answers(**line: Any) -> Any:
    """A line of a file of cases, answered."""
    (found,) = predict_lines([json.dumps({**LINE, **line})])
    return found


@pytest.mark.thorough
def test_every_verb_answers_for_a_step_through_lines_as_in_python_or_says_what_does() -> None:
    work = training("llama-3.1-8b", 2048, 16, devices=8)
    bounds: Any = hw.bound(work, "h100")
    line = answers(verb="bound", on="h100")
    assert line["time_s"] == bounds.time_s < bounds.estimate.time_s
    assert set(line["least_s"]) == {"matrix", "dram", "link"}
    sides = hw.compare(work, ["h100", "h200"])
    lines = answers(verb="compare", on=["h100", "h200"])
    assert [each["step_time_s"] for each in lines] == [each.time_s for each in sides.estimates]
    assert "8 x NVIDIA H100" in str(sides)
    assert answers(verb="explain", on=["h100"])["time_s"] == sides.estimates[0].time_s
    for refused in (lambda: hw.map(work, "h100"), lambda: hw.map(work, hw.device("h100") * 8)):
        with pytest.raises(InputError, match="predict, bound, compare, explain"):
            refused()
    assert "parallelise answer for it" in answers(verb="map", on="h100")["error"]


def test_torchs_selective_recomputation_keeps_every_second_product() -> None:
    """Of a token in units of 4,096 bf16: x 1, q 1, v 1/4, attention 1, gate 3.5, down 1; sums."""
    given: dict[str, Any] = {"dp": 8, "zero": 3, "micro_batch": 2}
    found = step(**given, recompute="selective")
    a_token = (1 + 1 + 0.25 + 1 + 3.5 + 1) * 4096 * 2 + 32 * 4
    assert found.activations_bytes == 32 * 2 * 4096 * a_token
    whole = step(**given)
    assert found.activations_bytes + found.again_bytes * 32 == whole.activations_bytes
    # Again: keys (a third of q, k, v), the output product and up, of 6, 4, 28, 14 k columns
    full = step(**given, recompute="full")
    assert whole.step_time_s < found.step_time_s < full.step_time_s
    assert (2 + 4 + 14) / (6 + 4 + 28 + 14) * 0.8 < found.again_s / full.again_s < 0.5


def test_a_fused_loss_and_weights_gathered_in_a_pipeline_change_what_is_held() -> None:
    given: dict[str, Any] = {"dp": 8, "zero": 3, "micro_batch": 2}
    logits = 2 * 4096 * 128256
    whole, fused = step(**given), step(**given, loss="fused")
    # In bf16 with their gradient, or besides in fp32, as logarithms and with a gradient of those.
    assert whole.ends_bytes - fused.ends_bytes == 10 * logits
    parameters = hw.model("llama-3.1-8b").parameters
    piped = step(dp=2, pp=4, zero=3)
    assert piped.gradients_bytes + piped.weights_bytes > 6 * parameters / 4 * 0.9
    with pytest.raises(InputError, match="loss: expected whole or fused, found 'chunked'"):
        step(loss="chunked")


def test_a_pipeline_of_torch_keeps_logits_and_buffers_of_all_its_micro_batches() -> None:
    """Eight micro-batches of 4,096 tokens, 4,096 wide and with 128,256 logits, in 16 bits."""
    given: dict[str, Any] = {"dp": 2, "pp": 4, "global_batch": 16, "recompute": "full"}
    torch, megatron = step(**given, zero=3), step(**given, zero=1)
    logits, hidden = 4096 * 128256 * 2, 4096 * 4096 * 2
    last = torch.memory_by_rank[-1] - torch.states_by_rank[-1]
    other = megatron.memory_by_rank[-1] - megatron.states_by_rank[-1]
    assert last - other == pytest.approx(7 * logits + 4096 * 128256 * 4, rel=1e-6)
    first = torch.memory_by_rank[0] - torch.states_by_rank[0]
    assert first - (megatron.memory_by_rank[0] - megatron.states_by_rank[0]) == 8 * hidden


def test_sequence_parallelism_gathers_and_scatters_what_it_spares_to_add_up() -> None:
    given: dict[str, Any] = {"dp": 1, "tp": 8, "micro_batch": 4, "zero": 3}
    plain, parted = step(**given), step(**given, sp=True)
    assert 1.0 < parted.exposed_communication_s / plain.exposed_communication_s < 1.5
    again = step(**given, sp=True, recompute="selective")
    assert again.step_time_s > parted.step_time_s


def test_factors_of_rows_narrow_both_operands_of_gradients_of_weights_once_more() -> None:
    given: dict[str, Any] = {"dp": 1, "micro_batch": 2, "dtype": "fp8", "zero": 3}
    whole, rows = (trained_share(scales, given) for scales in ("tensor", "row"))
    assert 1.01 < rows / whole < 1.2


def trained_share(scales: str, given: dict[str, Any]) -> float:
    """Seconds of a step whose kernels run as they do alone."""
    all_of_it: dict[str, Any] = {**LLAMA, **given, "scales": scales}
    return predicted(training(**all_of_it), "h100", efficiency=1.0).step_time_s


def test_steps_of_convolutions_say_what_they_leave_out() -> None:
    """The product of a window's rows stands for each; of batch norms there is no kernel."""
    images = hw.model({"model_type": "resnet", "torch_dtype": "bfloat16"})
    told = step(config=images, sequence=56 * 56, global_batch=1).warnings
    assert any("batch norms folded in" in text for text in told)
    assert not any("batch norms" in text for text in step(dp=8).warnings)


def test_heads_wider_than_fused_kernels_take_have_a_backward_pass_of_as_many_products() -> None:
    """Five products to the forward pass' two; a product of 4 columns stays in 16 bits in fp8."""
    config: dict[str, Any] = {
        **{"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 1024, "head_dim": 512},
        **{"num_attention_heads": 2, "intermediate_size": 2048, "vocab_size": 1024},
    }
    given: dict[str, Any] = {"config": config, "sequence": 4096, "global_batch": 8, "dp": 8}
    wide = step(**given, dtype="fp8")
    assert any("wider than 256" in text for text in wide.warnings)
    given["config"] = {**config, "head_dim": 256, "num_attention_heads": 4}
    narrow = step(**given, dtype="fp8")
    assert not any("wider than 256" in text for text in narrow.warnings)
    assert 0.7 < wide.step_time_s / narrow.step_time_s < 2.5
    given["config"] = {**config, "intermediate_size": 2044, "head_dim": 128}
    assert step(**given, dtype="fp8").step_time_s > 0
