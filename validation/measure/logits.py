"""What transformers computes with weights that anybody can draw again: logits of small models.

    python validation/measure/logits.py --out FILE

needs transformers and torch (CPU). Every tensor of a model is drawn from its own name (`drawn`), so
that whoever knows the names and shapes of a network's modules has the same weights, and the logits
of one prompt, in float64, show whether it computes the same. One line a model: config, prompt,
logits of the last token. Tests evaluate our networks, cascade by cascade, and compare.
"""

import argparse
import json
import sys
import zlib
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOKENS = 128
SPREAD = 0.2
"""Standard deviation of what is drawn; norms' gains are drawn around one."""

THETA = {"rope_type": "default", "rope_theta": 10000.0}
SMALL: dict[str, Any] = {
    **{"vocab_size": 48, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 1e-6},
    "rope_parameters": THETA,
    **{"pad_token_id": 0, "tie_word_embeddings": False},
}
EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 12}
BY_KIND = {
    f"{kind}_attention": {"rope_type": "default", "rope_theta": theta}
    for kind, theta in (("sliding", 10000.0), ("full", 1e6))
}
CASES: dict[str, dict[str, Any]] = {
    "llama": {"attention_bias": True, "mlp_bias": True},
    "mistral": {"sliding_window": 37},
    "qwen2": {},
    "qwen3": {},
    "qwen3_moe": EXPERTS | {"num_experts": 6, "norm_topk_prob": True},
    "gemma3_text": {
        **{"sliding_window": 37, "layer_types": ["sliding_attention", "full_attention"]},
        **{"query_pre_attn_scalar": 8, "tie_word_embeddings": True, "rope_parameters": BY_KIND},
    },
    "gpt_oss": {"num_experts_per_tok": 2, "num_local_experts": 6, "sliding_window": 37},
    "deepseek_v3": EXPERTS
    | {
        **{"n_routed_experts": 8, "n_shared_experts": 1, "n_group": 4, "topk_group": 2},
        **{"q_lora_rank": 12, "kv_lora_rank": 10, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4},
        **{"v_head_dim": 6, "first_k_dense_replace": 1, "num_key_value_heads": 4, "head_dim": 4},
    },
    "qwen3_next": EXPERTS
    | {
        **{"layer_types": ["linear_attention", "full_attention"], "num_experts": 6},
        **{"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8},
        **{"linear_value_head_dim": 6, "shared_expert_intermediate_size": 10},
        "rope_parameters": {**THETA, "partial_rotary_factor": 0.5},
    },
    "mamba2": {
        **{"num_heads": 8, "state_size": 6, "n_groups": 2, "chunk_size": 64},
        **{"use_conv_bias": False, "expand": 2, "layer_norm_epsilon": 1e-6},
    },
}


PLAIN = {"attn_implementation": "eager", "experts_implementation": "eager"}


def drawn(name: str, *shape: int) -> NDArray[np.float64]:
    """The tensor of this name and shape."""
    draw = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    return SPREAD * draw + ("norm" in name)


def prompt() -> NDArray[np.int64]:
    """Tokens that the logits follow."""
    return np.random.default_rng(0).integers(0, SMALL["vocab_size"], TOKENS)


def logits() -> Iterator[dict[str, Any]]:
    """One record a model."""
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    for model_type, more in CASES.items():
        own = transformers.AutoConfig.for_model(model_type).to_dict()
        keys = {**{key: value for key, value in SMALL.items() if key in own}, **more}
        config = transformers.AutoConfig.for_model(model_type, **keys)
        made = transformers.AutoModelForCausalLM.from_config(config, **PLAIN)
        model = made.double().eval()
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if name != "lm_head.weight" or not config.tie_word_embeddings:
                    tensor.copy_(torch.from_numpy(drawn(name, *tensor.shape)))
            last = model(torch.from_numpy(prompt())[None]).logits[0, -1]
        given = {"model_type": model_type, "torch_dtype": "float32", **keys}
        yield {"config": given, "logits": [float(value) for value in last]}


def main() -> None:
    """Write the records to a file, after one of versions."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    path = parser.parse_args().out
    versions = {name: import_module(name).__version__ for name in ("transformers", "torch")}
    lines = [json.dumps(versions | {"date": date.today().isoformat()}), *map(json.dumps, logits())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(lines) - 1} models\n")


if __name__ == "__main__":
    main()
