"""Parameters of architectures as transformers builds them, on the meta device: no weight is loaded.

    python validation/measure/parameter_counts.py --out FILE [--configs FOLDER ...]

needs transformers and torch (CPU) in an environment of its own. For each architecture of `CASES` it
builds a small model whose sizes are all different, so that no two of them can be taken for each
other, and writes one line: the config, the class, its parameters (tied ones once), and the
parameters of each module with layer numbers left out. `--configs` builds real ones besides, each as
the class that it names, and notes only the total. Tests compare hwmodel's own count with these.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

SIZES: dict[str, Any] = {
    **{"vocab_size": 320, "hidden_size": 96, "d_model": 96, "n_embd": 96, "intermediate_size": 136},
    **{"ffn_dim": 136, "n_inner": 136, "d_ff": 136, "ffn_hidden_size": 136},
    **{"encoder_ffn_dim": 136, "decoder_ffn_dim": 144, "hidden_dim": 136},
    **{
        "num_hidden_layers": 4,
        "n_layers": 4,
        "n_layer": 4,
        "num_layers": 4,
        "num_decoder_layers": 3,
    },
    **{"encoder_layers": 4, "decoder_layers": 3},
    **{"num_attention_heads": 6, "n_heads": 6, "n_head": 6, "num_heads": 6, "d_kv": 24},
    **{"encoder_attention_heads": 6, "decoder_attention_heads": 6},
    **{
        "num_key_value_heads": 2,
        "head_dim": 24,
        "max_position_embeddings": 512,
        "n_positions": 512,
    },
    **{
        "moe_intermediate_size": 40,
        "num_experts": 8,
        "num_local_experts": 8,
        "n_routed_experts": 8,
    },
    **{"num_experts_per_tok": 2, "shared_expert_intermediate_size": 56, "moe_num_experts": 8},
    **{"moe_k": 2, "shared_intermediate_size": 56, "num_experts_per_token": 2},
    **{"q_lora_rank": 32, "kv_lora_rank": 20, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8},
    **{"v_head_dim": 14, "index_n_heads": 3, "index_head_dim": 16, "n_group": 2, "topk_group": 1},
    **{"first_k_dense_replace": 1, "linear_num_key_heads": 2, "linear_num_value_heads": 4},
    **{"linear_key_head_dim": 12, "linear_value_head_dim": 10, "image_size": 56, "patch_size": 14},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "max_source_positions": 64},
    **{"max_target_positions": 48, "num_mel_bins": 20, "depth": 3, "out_hidden_size": 96},
}
"""Sizes that a case takes where its configuration class has the key."""

DECODERS = (
    "llama mistral ministral mixtral qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next gemma gemma2"
    " gemma3_text gemma3n_text gemma4_text phi phi3 phimoe olmo olmo2 olmo3 olmoe flex_olmo granite"
    " granitemoe granitemoeshared granitemoehybrid glm glm4 glm4_moe glm4_moe_lite glm_moe_dsa"
    " deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 gpt_oss llama4_text minimax minimax_m2"
    " minimax_m3 mamba mamba2 falcon_mamba falcon_h1 jamba bamba nemotron nemotron_h lfm2 lfm2_moe"
    " rwkv cohere cohere2 dbrx starcoder2 stablelm exaone4 exaone_moe ernie4_5 ernie4_5_moe"
    " hunyuan_v1_dense hunyuan_v1_moe seed_oss smollm3 dots1 gpt2 gpt_neo gptj gpt_neox"
    " gpt_neox_japanese gpt_bigcode opt bloom falcon mpt codegen biogpt arcee apertus helium bitnet"
    " diffllama vaultgemma recurrent_gemma zamba zamba2 xlstm longcat_flash qwen3_5_text"
    " qwen3_5_moe_text mimo mimo_v2_flash step3p5 step3p7 kimi_k2 kimi_linear xglm persimmon"
    " jetmoe doge cwm blt youtu solar_open afmoe nanochat jais2 hy_v3 ministral3 olmo_hybrid"
    " laguna cohere2_moe exaone internlm3 granite_swa granitemoe_swa iquestcoder hyperclovax"
    " minicpm3 mellum ctrl openai-gpt fuyu sarvam_moe sarvam_mla apertus1p5_text hy_v4"
    " cohere_compass_text axk1 bailing_hybrid zaya lfm3 mistral4 modernbert-decoder"
).split()
OTHERS = (
    "gemma3 gemma4 qwen2_vl qwen2_5_vl qwen3_vl qwen3_vl_moe qwen3_5 qwen3_5_moe llama4"
    " mistral3 mllama llava llava_next pixtral aria glm4v glm4v_moe kimi_k25 paligemma idefics3"
    " internvl bert roberta deberta deberta-v2 distilbert electra albert xlnet modernbert"
    " xlm-roberta t5 mt5 umt5 bart mbart pegasus marian m2m_100 blenderbot blenderbot-small"
    " plbart whisper moonshine t5gemma vit dinov2 dinov3_vit"
    " siglip siglip2 clip clip_text_model clip_vision_model sam swin deit beit convnext resnet"
    " wav2vec2 hubert timesfm speecht5 segformer vit_mae diffusion_gemma"
    " ernie data2vec-text ibert splinter bert-generation megatron-bert roberta-prelayernorm"
    " xlm-roberta-xl rembert roc_bert roformer layoutlm mpnet xmod xlm flaubert eurobert nomic_bert"
    " data2vec-vision internvl_vision dinov2_with_registers siglip2_vision_model idefics3_vision"
    " chinese_clip_vision_model glm4v_vision glm4v_moe_vision kimi_k25_vision aimv2_vision_model"
    " donut-swin maskformer-swin regnet convnextv2 timesfm2_5 wavlm unispeech unispeech-sat"
    " qwen2_audio_encoder voxtral_encoder gemma4_audio videomae audio-spectrogram-transformer"
    " switch_transformers longt5 mvp led bigbird_pegasus fsmt nllb-moe big_bird longformer"
    " sam_vision_model swinv2 yolos"
).split()
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 24, "mamba_d_state": 10, "mamba_n_groups": 2}
KEYS: dict[str, dict[str, Any]] = {
    "qwen3_moe": {"num_local_experts": None, "num_experts": 8},
    "qwen3_next": {"num_hidden_layers": 8},
    "gemma4_text": {"enable_moe_block": True, "top_k_experts": 2, "num_hidden_layers": 7},
    "helium": {"head_dim": 16},
    "mimo_v2_flash": {"num_attention_heads": 8},
    "gemma3_text": {"num_hidden_layers": 7},
    "gemma3n_text": {"num_hidden_layers": 10, "num_kv_shared_layers": 5},
    "granitemoehybrid": {**_MAMBA, "layer_types": ["mamba", "mamba", "attention", "mamba"]},
    "bamba": {**_MAMBA, "attn_layer_indices": [2]},
    "falcon_h1": {**_MAMBA, "mamba_d_ssm": 192},
    "mamba2": {"num_heads": 8, "head_dim": 24, "state_size": 10, "n_groups": 2},
    "nemotron_h": {"mamba_num_heads": 8, "mamba_head_dim": 24, "ssm_state_size": 10, "n_groups": 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv", "conv"], "num_dense_layers": 1},
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0}},
    "dots1": {"n_shared_experts": 2, "first_k_dense_replace": 1},
    "zamba": {"num_hidden_layers": 14, "attn_layer_period": 6, "attn_layer_offset": 4},
    "zamba2": {"num_hidden_layers": 4, "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"]},
    "rwkv": {"attention_hidden_size": 96},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]], "intermediate_size": 136},
    "swin": {"embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": 7},
    "swinv2": {"embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4]},
    "llama4": {"pad_token_id": 0},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {
        **{"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 12},
        **{"norm_rel_ebd": "layer_norm", "conv_kernel_size": 3, "position_biased_input": False},
    },
    "xlnet": {"d_head": 16, "d_inner": 136},
    "roformer": {"embedding_size": 96},
    "jetmoe": {"num_key_value_heads": 3, "kv_channels": 24},
    "mistral4": {"q_lora_rank": None, "qk_head_dim": 20, "num_key_value_heads": 6},
    "xlm": {"emb_dim": 96},
    "flaubert": {"emb_dim": 96},
    "qwen2_vl": {"vision_config": {"depth": 3, "embed_dim": 48, "num_heads": 6, "hidden_size": 96}},
}
"""Keys that a case needs beside `SIZES`, or instead; None leaves one out."""
WORDS = (
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_MAPPING",
)
"""Where to look for the class of an architecture whose config names none, decoders' apart."""


def sized(kind: Any, more: dict[str, Any]) -> dict[str, Any]:
    """The keys of `SIZES` that a configuration class and its parts have, and `more` over them."""
    bare = kind()
    own = bare.to_dict()
    keys = {key: value for key, value in SIZES.items() if _is_size(own, key)}
    for part in getattr(kind, "sub_configs", {}):
        inner = getattr(bare, part, None)
        if inner is not None:
            keys[part] = {"model_type": inner.model_type, **sized(type(inner), {})}
    return {key: value for key, value in (keys | more).items() if value is not None}


def _is_size(keys: dict[str, Any], key: str) -> bool:
    """Whether a key holds a number, or nothing where a number may stand."""
    value = keys.get(key, "")
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def built(config: Any, name: str | None = None) -> Any:
    """The model of a config on the meta device, as the class of this name where there is one."""
    torch, transformers = import_module("torch"), import_module("transformers")
    kind = getattr(transformers, name, None) if name else None
    kind = kind if getattr(kind, "config_class", None) is type(config) else None
    tables = import_module("transformers.models.auto.modeling_auto")
    words = WORDS if config.model_type in OTHERS else ("MODEL_FOR_CAUSAL_LM_MAPPING", *WORDS)
    for table in words if kind is None else ():
        kind = kind or getattr(tables, table).get(type(config), None)
    if kind is None:
        raise ValueError("transformers has no model of it")
    with torch.device("meta"):
        model = kind(config)
    model.tie_weights()
    return model


def by_module(model: Any) -> dict[str, int]:
    """Parameters of each tensor's name, layer and expert numbers left out; tied ones once."""
    counts: Counter[str] = Counter()
    for name, tensor in model.named_parameters():
        counts[re.sub(r"\.\d+(?=\.|$)", ".*", name)] += tensor.numel()
    return dict(counts)


def text_alone(modules: dict[str, int]) -> dict[str, int]:
    """Parameters of the language model of a model with several parts, its head among them."""
    if not any("language_model." in name for name in modules):
        return {}
    text = (n for name, n in modules.items() if "language_model." in name or "lm_head" in name)
    return {"text": sum(text)}


def cases() -> Iterator[dict[str, Any]]:
    """One record an architecture: what was built and counted, or why not."""
    known: Any = import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
    for model_type in (*DECODERS, *OTHERS):
        if model_type not in known:
            yield {"model_type": model_type, "refused": "not in transformers"}
            continue
        try:
            keys = sized(known[model_type], KEYS.get(model_type, {}))
            config = known[model_type](**keys)
            model = built(config)
        except Exception as error:  # whatever a library of a thousand authors raises
            yield {"model_type": model_type, "refused": f"{type(error).__name__}: {error}"[:160]}
            continue
        modules = by_module(model)
        yield {
            "model_type": model_type,
            "class": type(model).__name__,
            "config": {"model_type": model_type, **keys},
            "parameters": sum(modules.values()),
            **text_alone(modules),
            "modules": modules,
        }


def configured(known: Any, data: dict[str, Any], name: str | None) -> Any:
    """A config by its model type, or where that is unknown by the class of the model that it names.

    Keys of the text at the top of a config with parts make its text.
    """
    named: Any = getattr(import_module("transformers"), name or "", None)
    kind = known[data["model_type"]] if named is None else _kind(known, data, named)
    text = getattr(kind, "sub_configs", {}).get("text_config")
    return (text if text is not None and "text_config" not in data else kind).from_dict(data)


def _kind(known: Any, data: dict[str, Any], named: Any) -> Any:
    return known[data["model_type"]] if data["model_type"] in known else named.config_class


def real(folder: Path) -> Iterator[dict[str, Any]]:
    """The total of each config.json in a folder, or why there is none."""
    known: Any = import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
    for path in sorted(folder.glob("*.json")):
        read = json.loads(path.read_text(encoding="utf-8"))
        if "model_type" not in read:
            continue
        data: dict[str, Any] = {k: v for k, v in read.items() if k != "quantization_config"}
        told: dict[str, Any] = {"file": path.name, "model_type": data["model_type"]}
        try:
            name = next(iter(data.get("architectures") or ()), None)
            config = configured(known, data, name)
            model = built(config, name)
        except Exception as error:
            yield told | {"refused": f"{type(error).__name__}: {error}"[:160]}
            continue
        modules = by_module(model)
        total = {"class": type(model).__name__, "parameters": sum(modules.values())}
        yield told | total | text_alone(modules)


def main() -> None:
    """Count, and write one JSON line a model, the versions first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--configs", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    versions = {name: import_module(name).__version__ for name in ("transformers", "torch")}
    lines: list[dict[str, Any]] = [{**versions, "date": date.today().isoformat()}]
    for record in (*cases(), *(each for folder in given.configs for each in real(folder))):
        lines.append(record)
        told = record.get("parameters", record.get("refused"))
        print(record.get("file", record["model_type"]), told, file=sys.stderr)
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
