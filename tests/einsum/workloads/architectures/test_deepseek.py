"""DeepSeek V3 and Kimi K2: published totals, caches, routers, a step's time in both forms."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CoverageError, InputError

DEEPSEEK_V3: dict[str, Any] = {
    # deepseek-ai/DeepSeek-V3, config.json
    **{"model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432},
    **{"num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128},
    **{"vocab_size": 129280, "q_lora_rank": 1536, "kv_lora_rank": 512, "torch_dtype": "bfloat16"},
    **{"n_routed_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048},
    **{"n_shared_experts": 1, "first_k_dense_replace": 3, "n_group": 8, "topk_group": 4},
    **{"topk_method": "noaux_tc", "scoring_func": "sigmoid", "routed_scaling_factor": 2.5},
    **{"aux_loss_alpha": 0.001, "seq_aux": True, "ep_size": 1, "num_nextn_predict_layers": 0},
}
KIMI_K2 = DEEPSEEK_V3 | {
    # moonshotai/Kimi-K2-Instruct, config.json
    **{"model_type": "kimi_k2", "num_attention_heads": 64, "num_key_value_heads": 64},
    **{"vocab_size": 163840, "n_routed_experts": 384, "first_k_dense_replace": 1},
    **{"n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.827},
}
FP8 = {
    "quantization_config": {
        **{"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    }
}


def test_totals_are_those_of_the_reports() -> None:
    # DeepSeek-V3, arXiv 2412.19437: 671 B, 37 B of a token; the checkpoint's README states 671 B
    # for the main model. Kimi K2, arXiv 2507.20534, table 2: 1.04 T, 32.6 B of a token.
    found = model(DEEPSEEK_V3)
    assert found.parameters == 671_026_404_352
    assert found.active_parameters / 1e9 == pytest.approx(37.55, abs=0.01)
    kimi = model(KIMI_K2)
    assert kimi.parameters / 1e12 == pytest.approx(1.03, abs=0.01)
    assert kimi.active_parameters / 1e9 == pytest.approx(32.6, abs=0.5)


def test_a_token_keeps_a_latent_and_a_key_in_each_layer() -> None:
    found = model(DEEPSEEK_V3)
    assert found.kv_bytes_per_token == 61 * (512 + 64) * 2 == 70_272
    assert found.shard(8).kv_bytes_per_token == found.kv_bytes_per_token
    assert found.but(kv_dtype="fp8").kv_bytes_per_token == 35_136


def test_weights_in_fp8_have_a_scale_for_each_block() -> None:
    found = model(DEEPSEEK_V3 | FP8)
    parts = found.parameters_by_part
    wide = parts["embedding"] + parts["head"] + parts["router"] + parts["norms"]
    narrow = found.parameters - wide
    assert found.weight_bytes == 2 * wide + narrow + narrow // 128**2 * 4


def test_its_router_chooses_among_groups_and_the_first_layers_have_none() -> None:
    stages = {stage.name: stage for stage in model(DEEPSEEK_V3).decode(4, 100).stages}
    for name in ("router sigmoid", "router correction", "groups top-k", "weights scale"):
        assert stages[name].times == 58
    assert stages["groups' best"].cascade.sizes() == {"r": 4 * 8, "c": 32, "k": 2}
    assert stages["groups top-k"].cascade.sizes() == {"r": 4, "c": 8, "k": 4}
    assert stages["shared add"].layers == tuple(range(3, 61))
    kimi = [stage.name for stage in model(KIMI_K2).decode(4, 100).stages]
    assert "groups top-k" not in kimi
    assert "router correction" in kimi


def test_devices_sum_routed_and_shared_experts_once() -> None:
    stages = model(DEEPSEEK_V3).decode(4, 100, tp=8).stages
    summed = [s.name for s in stages if s.collective and s.layers[0] in (3, 0)]
    assert summed == ["attention output", "down", "shared add"]


def test_decode_is_faster_on_latents_than_on_keys_made_of_them() -> None:
    found = model(DEEPSEEK_V3 | FP8)
    for batch, least in ((1, 1.0), (32, 2.0), (128, 4.0)):
        times = {
            form: hw.predict(found.but(mla=form).decode(batch, 4096, tp=8), "h200").time_s
            for form in ("absorbed", "expanded", "phase")
        }
        assert times["expanded"] / times["absorbed"] > least
        assert times["phase"] == times["absorbed"]


def test_attention_on_latents_is_a_prior_that_says_so() -> None:
    found = hw.predict(model(DEEPSEEK_V3).decode(32, 4096, tp=8), "h200")
    (part,) = (part for part in found.parts if part.name == "attention on latents")
    assert part.family == "decode:latent-attention"
    assert part.interval[1] / part.interval[0] > 3
    assert any("decode:latent-attention: efficiencies are priors" in w for w in found.warnings)


def test_what_is_no_router_of_its_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"n_group: expected a divisor of the 256 experts, found 7"
    ):
        model(DEEPSEEK_V3 | {"n_group": 7})
    with pytest.raises(CoverageError, match="scoring_func: 'tanh' is not modelled"):
        model(DEEPSEEK_V3 | {"scoring_func": "tanh"})


def test_a_chunk_of_few_tokens_is_faster_on_latents_and_one_of_many_on_keys() -> None:
    # the crossover of multiplications is at 164 queries on 4096 keys, that of time is near it
    found = model(DEEPSEEK_V3)

    def ratio(queries: int) -> float:
        chunk: dict[str, Any] = {"batch": 1, "prompt": 4096, "cached": 4096 - queries}
        forms = ("absorbed", "expanded")
        absorbed, expanded = (attention_s(found.but(mla=f).prefill(**chunk)) for f in forms)
        return absorbed / expanded

    def attention_s(step: Stack) -> float:
        names = ("kv up", "keys join", "attention", "q absorb", "attention on latents", "value up")
        parts = hw.predict(step, "h200", kernel=None).parts
        return float(sum(part.times * part.time_s for part in parts if part.name in names))

    assert ratio(16) < 1 < ratio(1024)
