"""Architectures: laws that hold for all, caches by hand, and published configs that are read."""

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.blocks.audio import AudioStem
from hwmodel.einsum.workloads.blocks.convolution import Convolution
from hwmodel.einsum.workloads.blocks.cross import OfSource
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.einsum.workloads.registry import known
from hwmodel.quantity.errors import HwmodelError, InputError

COUNTED = Path(__file__).resolve().parents[3] / "validation/data/transformers/counts.jsonl"
CONFIGS = Path(__file__).resolve().parents[4] / "shared/data/configs"
NEEDS_CONFIGS = pytest.mark.skipif(not CONFIGS.is_dir(), reason="needs ../shared/data/configs")
READ = 221
"""Configs of `CONFIGS` that are read: a number that may only grow."""


@cache
def small() -> dict[str, dict[str, Any]]:
    """A small config of each architecture that is read."""
    lines = COUNTED.read_text(encoding="utf-8").splitlines()[1:]
    found = (json.loads(line) for line in lines)
    return {
        each["model_type"]: each["config"]
        for each in found
        if "config" in each and known(each["model_type"])
    }


NO_MATRIX = ("recurrence.conv", "recurrence.state", "attention.compress", "convolution.filters")
"""Kernels of filters, decays and shifts, by channel."""


def multiplied(read: Model, tokens: int) -> Any:
    """Multiplications by matrices of weights, of one token of each of so many sequences."""
    blocks = [block for block, _ in read.network.placed]
    if read.network.generates and not any(isinstance(each, OfSource) for each in blocks):
        step = read.decode(batch=tokens, context=7, routing="balanced")
    else:
        step = read.prefill(batch=tokens, prompt=1)
    return sum(
        stage.times * count
        for stage in step.stages
        for (kind, _), count in cascade_counts(stage.cascade).items()
        if kind == "multiply" and _is_product(stage.cascade) and stage.role not in NO_MATRIX
    )


def _is_product(cascade: Any) -> bool:
    tensors = cascade.tensors.values()
    return any(t.role == "weight" and len(t.ranks) > 1 for t in tensors) and len(tensors) > 2


def _multiplies(weight: Weight) -> bool:
    """Whether hidden states, or the patches of an image, are multiplied by it as a matrix."""
    patches = weight.role == "conv" and weight.part in ("embedding", "convolution")
    return patches or weight.role in ("linear", "router", "head")


def matrices(network: Network) -> int:
    """Elements of the matrices that one token is multiplied by; a tied head's counted."""
    used = sum(
        len(layers) * weight.active()
        for block, layers in network.placed
        # A layer that has the weights of another is multiplied by them too.
        for weight in getattr(block, "block", block).weights()
        if len(weight.shape) > 1 and _multiplies(weight)
    )
    tables = [w for w, _ in network.weights if w.role == "table" and "vocab_size" in str(w.split)]
    heads = any(weight.role == "head" for weight, _ in network.weights)
    tied = network.generates and not heads
    again = sum(
        stem.weights()[0].elements()  # two frames make one position
        for block, _ in network.placed
        if isinstance(stem := getattr(block, "block", block), AudioStem)
    )
    again += sum(
        (each.finer - 1) * each.matrix.elements()
        for block, _ in network.placed
        if isinstance(each := getattr(block, "block", block), Convolution)
    )
    return used + again + (tables[0].elements() if tied else 0)


POSITIONED = ("deberta", "deberta-v2", "xlnet", "gemma4_audio")
"""Positions pass products too, those of DeBERTa once for all tokens."""


@pytest.mark.parametrize("model_type", [each for each in small() if each not in POSITIONED])
def test_a_token_is_multiplied_by_every_matrix_that_it_uses_once(model_type: str) -> None:
    read = model(small()[model_type])
    assert multiplied(read, 8) == 8 * matrices(read.network)


@pytest.mark.parametrize("model_type", small())
def test_two_devices_hold_the_whole_between_them(model_type: str) -> None:
    """Each device has half of what is divided and all of the rest."""
    read = model(small()[model_type])
    try:
        held = read.shard(2).parameters
    except HwmodelError:
        pytest.skip("an odd number of pieces")
    divided = sum(
        len(layers) * weight.elements()
        for weight, layers in read.network.weights
        if weight.split is not None and not (weight.split.repeated and weight.split.pieces < 2)
    )
    assert held == read.parameters - divided / 2


PLAIN = {"num_hidden_layers": 32, "num_attention_heads": 32, "hidden_size": 4096}
OWN_CODE: dict[str, tuple[int, dict[str, Any]]] = {
    "bailing_moe": (
        16_801_974_272,
        {"vocab_size": 126464, "hidden_size": 2048, "num_hidden_layers": 28, "head_dim": 128}
        | {"num_attention_heads": 16, "num_key_value_heads": 4, "intermediate_size": 5632}
        | {"num_experts": 64, "num_experts_per_tok": 6, "num_shared_experts": 2}
        | {"moe_intermediate_size": 1408},
    ),
    "deepseek": (
        16_375_728_128,
        {"vocab_size": 102400, "hidden_size": 2048, "num_hidden_layers": 28}
        | {"num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 10944}
        | {"moe_intermediate_size": 1408, "n_routed_experts": 64, "n_shared_experts": 2},
    ),
    "phi3small": (
        7_392_272_384,
        PLAIN | {"vocab_size": 100352, "ff_intermediate_size": 14336, "num_key_value_heads": 8},
    ),
    "internlm2": (
        7_737_708_544,
        PLAIN
        | {
            "vocab_size": 92544,
            "intermediate_size": 14336,
            "num_key_value_heads": 8,
            "bias": False,
        },
    ),
    "baichuan": (7_505_973_248, PLAIN | {"vocab_size": 125696, "intermediate_size": 11008}),
    "chatglm": (
        6_243_584_000,
        {"hidden_size": 4096, "num_layers": 28, "num_attention_heads": 32, "kv_channels": 128}
        | {"padded_vocab_size": 65024, "ffn_hidden_size": 13696},
    ),
    "qwen": (7_721_324_544, PLAIN | {"vocab_size": 151936, "intermediate_size": 22016}),
    "minicpm": (
        2_724_880_896,
        {"vocab_size": 122753, "hidden_size": 2304, "intermediate_size": 5760}
        | {"num_hidden_layers": 40, "num_attention_heads": 36, "num_key_value_heads": 36},
    ),
    "exaone": (
        7_818_448_896,
        {"hidden_size": 4096, "num_layers": 32, "num_attention_heads": 32, "vocab_size": 102400}
        | {"intermediate_size": 14336, "num_key_value_heads": 8, "activation_function": "silu"},
    ),
}
"""Models that transformers does not build: the totals that their checkpoints state."""


@pytest.mark.parametrize("model_type", OWN_CODE)
def test_models_of_their_own_code_have_their_published_total(model_type: str) -> None:
    total, config = OWN_CODE[model_type]
    assert model({"model_type": model_type, **config}).parameters == total


KV = {
    # Published sizes: layers x (K and V) x heads x size of a head x bytes.
    "gpt2": 12 * 2 * 12 * 64 * 2,
    "falcon-7b": 32 * 2 * 1 * 64 * 2,  # one head of keys and values
    "opt-6.7b": 32 * 2 * 32 * 128 * 2,
    "gpt-neox-20b": 44 * 2 * 64 * 96 * 2,
    "phi-2": 32 * 2 * 32 * 80 * 2,
    "phi-4": 40 * 2 * 10 * 128 * 2,
    "command-r-35b": 40 * 2 * 64 * 128 * 2,
    "starcoder2-15b": 40 * 2 * 4 * 128 * 2,
    "glm-4.5": 92 * 2 * 8 * 128 * 2,
    "minimax-m2": 62 * 2 * 8 * 128 * 2,
    "olmoe-1b-7b": 16 * 2 * 16 * 128 * 2,
    "smollm3-3b": 36 * 2 * 4 * 128 * 2,
}


@pytest.mark.parametrize(("name", "expected"), KV.items())
def test_bytes_of_a_token_in_the_cache(name: str, expected: int) -> None:
    assert model(name).kv_bytes_per_token == expected


@pytest.mark.parametrize(
    ("name", "windowed", "whole", "window", "token_bytes"),
    [
        ("gemma-2-9b", 21, 21, 4096, 2 * 8 * 256 * 2),
        ("olmo-3-7b", 24, 8, 4096, 2 * 32 * 128 * 2),
        ("command-r7b", 24, 8, 4096, 2 * 8 * 128 * 2),
    ],
)
def test_layers_with_a_window_keep_its_tokens_alone(
    name: str, windowed: int, whole: int, window: int, token_bytes: int
) -> None:
    tokens = 100_000
    expected = (windowed * window + whole * tokens) * token_bytes
    assert model(name).kv_bytes(3, tokens) == 3 * expected


def test_keys_stand_for_values_in_few_wide_heads_without_a_window() -> None:
    """Gemma 4 26B-A4B: 25 layers of 8 heads of 256 under a window of 1,024, 5 of 2 of 512."""
    gemma = model("gemma-4-26b-a4b")
    expected = 25 * 1024 * 2 * 8 * 256 * 2 + 5 * 50_000 * 2 * 2 * 512 * 2
    assert gemma.kv_bytes(1, 50_000) == expected


def test_layers_that_borrow_keys_and_values_cache_none() -> None:
    config = dict(small()["gemma4_text"]) | {"num_hidden_layers": 12, "torch_dtype": "bfloat16"}
    own, borrowed = model(config), model(config | {"num_kv_shared_layers": 6})
    # Layers 6 to 11: five of 2 heads of 24 under a window, one of 2 of 512.
    assert own.kv_bytes_per_token - borrowed.kv_bytes_per_token == 2 * 2 * (5 * 24 + 512) * 2
    assert own.parameters - borrowed.parameters == 96 * 2 * 2 * (5 * 24 + 512) + 5 * 24 + 512


def test_values_may_be_narrower_than_keys() -> None:
    config = small()["mimo_v2_flash"] | {"torch_dtype": "bfloat16"}
    # One layer of 2 heads without a window, three of 4 with one; keys of 24, values of 14.
    assert model(config).kv_bytes_per_token == (2 + 3 * 4) * (24 + 14) * 2


def test_a_gate_by_head_and_by_element() -> None:
    by_head, by_element = small()["laguna"], small()["afmoe"]
    tokens = 5
    for config, gates in ((by_head, 6), (by_element, 6 * 24)):
        found = model(config).decode(batch=tokens, context=9).stages
        (gate,) = (stage for stage in found if stage.name == "attention gate sigmoid")
        assert gate.times == 4
        assert cascade_counts(gate.cascade)["exp", "bf16"] == tokens * gates


def test_an_encoder_has_one_step_caches_nothing_and_sees_every_token() -> None:
    bert = model("bert-base")
    assert bert.kv_bytes(3, 1000) == bert.kv_bytes_per_token == 0
    with pytest.raises(InputError, match=r"bert-base: decode: .*found an encoder; .* prefill"):
        bert.decode(batch=1, context=100)
    step = bert.prefill(batch=2, prompt=50)
    (scores,) = (stage for stage in step.stages if stage.role == "attention.scores")
    # Two sequences, 12 heads, each of 50 tokens with each, twice 64 elements.
    assert cascade_counts(scores.cascade)["multiply", "fp32"] >= 2 * 12 * 50 * 50 * 2 * 64


def test_halves_of_heads_are_subtracted_before_the_output() -> None:
    names = [stage.name for stage in model(small()["diffllama"]).decode(2, 9).stages]
    at = names.index("attention")
    after = ["difference scale", "difference", "difference norm", "attention output"]
    assert names[at + 1 : at + 5] == after


def test_layers_that_are_shared_are_held_once_and_run_each() -> None:
    albert = small()["albert"]
    one, four = model(albert | {"num_hidden_layers": 1}), model(albert)
    assert one.parameters == four.parameters
    runs = [
        next(stage.times for stage in read.prefill(1, 9).stages if stage.name == "qkv")
        for read in (one, four)
    ]
    assert runs == [1, 4]


def stages(name: str, **changes: Any) -> Counter[str]:
    """Kernels of a decode step by name, and how often each runs."""
    found = Counter[str]()
    for stage in model(name).but(**changes).decode(batch=1, context=100).stages:
        found[stage.name] += int(stage.times)
    return found


def test_blocks_side_by_side_share_one_norm_or_have_two() -> None:
    one, two = stages("phi-2"), stages("gpt-neox-20b")
    assert "attention norm" in one
    assert "mlp norm" not in one
    assert one["attention norm"] == one["mlp residual"] == 32
    assert two["attention norm"] == two["mlp norm"] == 44


def test_norms_after_blocks_and_on_both_sides() -> None:
    after, both = stages("olmo-2-7b"), stages("gemma-2-9b")
    assert {"attention output norm": 32, "mlp output norm": 32}.items() <= after.items()
    assert "attention norm" not in after
    names = ("attention norm", "attention output norm", "mlp norm", "mlp output norm")
    assert [both[name] for name in names] == [42] * 4


def test_learned_positions_are_gathered_and_nothing_is_rotated() -> None:
    made = stages("gpt2")
    assert made["positions"] == made["positions add"] == 1
    assert not any("rotary" in name for name in made)


def test_elements_of_a_head_that_are_not_rotated_are_copied() -> None:
    """Of phi 2's heads of 80 elements, 32 are rotated."""
    found = model("phi-2").decode(batch=1, context=100).stages
    (rest,) = (stage for stage in found if stage.name == "rotary q rest")
    assert rest.times == 32
    assert {str(size) for size in rest.cascade.sizes().values()} == {"32", "48"}


def test_every_fourth_layer_of_smollm3_is_not_rotated() -> None:
    assert stages("smollm3-3b")["rotary q add"] == 27


def test_a_plain_mlp_has_two_products_and_its_own_activation() -> None:
    made = stages("starcoder2-15b")
    assert made["up"] == made["gelu_pytorch_tanh"] == made["down"] == 40
    assert "gate-up" not in made


def test_shared_experts_stand_beside_the_others_but_in_dense_layers() -> None:
    made = stages("glm-4.5-air")
    assert made["shared add"] == made["experts down"] == 45
    assert made["gate-up"] == 46  # the dense layer, and the shared expert of each other


def test_logits_are_capped_and_scaled() -> None:
    assert stages("gemma-2-2b")["logits cap"] == 1
    assert stages("granite-3.3-8b")["logits scale"] == 1
    assert stages("granite-3.3-8b")["attention residual scale"] == 40


def test_what_is_left_out_of_a_model_is_told() -> None:
    (told,) = model("glm-4.5").warnings
    key, _, why = told.removeprefix("glm-4.5: ").partition(": ")
    assert key == "num_nextn_predict_layers"
    assert (
        why == "layers that predict further tokens run in training, and to draft (model=mtp), alone"
    )
    assert "a tanh of each score" in model("gemma-2-2b").warnings[0]


@NEEDS_CONFIGS
def test_published_configs_are_read_and_have_the_parameters_that_transformers_builds() -> None:
    """`python -m pytest -s -k published_configs` prints the table of those that are refused."""
    lines = COUNTED.read_text(encoding="utf-8").splitlines()[1:]
    counts = {each["file"]: each for each in map(json.loads, lines) if "file" in each}
    read, wrong = 0, dict[str, tuple[int, int]]()
    for path in sorted(CONFIGS.glob("*.json")):
        if path.name == "index.json":
            continue
        try:
            found = model(path)
        except HwmodelError as error:
            print(f"{path.name}: {error}")
            continue
        read += 1
        part = "text" if any("alone is read" in told for told in found.warnings) else "parameters"
        counted = counts.get(path.name, {})
        bare = counted.get("class", "").endswith("Model")  # without a head
        ours = found.parameters - bare * found.parameters_by_part["head"]
        roomier = found.config.model_type == "longcat_flash"  # gates for experts that are idle
        by_class = any("by the class that it names" in told for told in found.warnings)
        if counted.get(part, ours) != ours and not roomier and not by_class:
            wrong[path.name] = ours, counted[part]
    print(f"{read} read")
    assert not wrong
    assert read >= READ


@pytest.mark.thorough
@NEEDS_CONFIGS
def test_published_configs_of_every_kind_are_predicted_in_each_phase() -> None:
    seen: set[str] = set()
    for path in sorted(CONFIGS.glob("*.json")):
        try:
            found = model(path)
        except HwmodelError:
            continue
        if found.config.model_type in seen:
            continue
        seen.add(found.config.model_type)
        runs = [found.prefill(1, 256)]
        runs += [found.decode(4, 1024)] if found.network.generates else []
        for run in runs:
            assert hw.predict(run, on="h200").time_s > 0, path.name
    assert len(seen) >= 87


def test_a_window_on_both_sides_is_counted_as_one_before() -> None:
    """ModernBERT: layers 0 and 3 of four see all 1,000 tokens, the others 128."""
    sizes = {"vocab_size": 320, "hidden_size": 96, "num_attention_heads": 6}
    read = model({"model_type": "modernbert", **sizes, "num_hidden_layers": 4})
    made = {s.name: s for s in read.prefill(1, 1000).stages if s.name.startswith("attention")}
    assert made["attention"].times == made["attention, window 128"].times == 2
    assert made["attention norm"].times == 3  # the first reads the embedding's
    assert made["attention"].cascade.ranks["m"].size == 1000


@pytest.mark.parametrize("key", ["use_clipped_linears", "standardize"])
def test_what_gemma_4s_vision_does_to_single_elements_is_told_and_not_counted(key: str) -> None:
    config = {"model_type": "gemma4_vision", key: False}
    assert model(config).parameters == 167_364_608
    found = model({**config, key: True})
    assert found.parameters == 167_364_608
    assert any(key in told for told in found.warnings)


def test_squares_of_patches_are_joined_once_and_after_some_layers() -> None:
    """Qwen3-VL: 1,024 patches become 256 tokens of an image, and those of three layers besides."""
    read = model("qwen3-vl-8b", part="vision")
    every = read.prefill(1, 1024).stages
    made = {stage.name: stage for stage in every}
    up, down = made["merger up"], made["merger down"]
    assert [stage.name for stage in every].count("merger up") == 1 + 3
    assert (up.cascade.ranks["m"].size, down.cascade.ranks["n"].size) == (256, 4096)
    assert made["attention"].times == 27
    assert read.parameters == 576_388_336
