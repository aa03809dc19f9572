"""GGUF files of llama.cpp: the model's config under Hugging Face's keys, formats by tensor.

The library `gguf` does the reading; it comes with the extra `gguf`. Its own table of names tells
which of the file's tensors is which module of Hugging Face's (`get_tensor_name_map`). A type such
as Q4_K stores 256 weights in 144 bytes: 4 bits each, and 128 bits of scales for all, so that it is
`int4@256:128` here. llama.cpp keeps what is between kernels, and the cache, in 16 bits; products
are taken to run in that format, their weights widened.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hwmodel.einsum.workloads.quantisation.modules import spelled
from hwmodel.einsum.workloads.registry import known, record
from hwmodel.einsum.workloads.tensors import Tensor
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.reading import name_of

ARCHITECTURES = {
    **{"qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "qwen3next": "qwen3_next"},
    **{"gemma3": "gemma3_text", "gemma4": "gemma4_text", "gptneox": "gpt_neox", "phi2": "phi"},
    **{"command-r": "cohere", "deepseek2": "deepseek_v2", "glm4moe": "glm4_moe"},
    **{"mistral3": "mistral", "lfm2moe": "lfm2_moe", "qwen35": "qwen3_5_text"},
    **{"ernie4_5-moe": "ernie4_5_moe", "hunyuan-moe": "hunyuan_v1_moe"},
    **{"hunyuan-dense": "hunyuan_v1_dense", "qwen35moe": "qwen3_5_moe_text"},
}
"""`general.architecture` -> `model_type` where they differ by more than a dash; a llama that has
experts is a mixtral."""

KEYS = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attention.q_lora_rank": "q_lora_rank",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "context_length": "max_position_embeddings",
    "rope.freq_base": "rope_theta",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
    "leading_dense_block_count": "first_k_dense_replace",
    "expert_shared_count": "n_shared_experts",
}
"""Key of GGUF without the architecture's name -> Hugging Face's."""

EXPERTS = {
    **dict.fromkeys(("qwen2_moe", "qwen3_moe", "olmoe"), "num_experts"),
    **dict.fromkeys(("deepseek_v2", "glm4_moe", "dots1"), "n_routed_experts"),
}
"""`model_type` -> its key for the number of experts; others call it num_local_experts."""

FLOATS = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}
MICROSCALED = {"MXFP4": "mxfp4", "NVFP4": "nvfp4"}


def config(path: str | Path) -> dict[str, Any]:
    """The config of the model in a file, its `quantization_config` with a format by module.

    Raises `InputError` for a file that is none, `UnknownNameError` for an architecture that the
    library does not know. Without the library `gguf` it raises `CoverageError` that names the
    extra.
    """
    library, file, held = _read(path)
    said = {name: field.contents() for name, field in file.fields.items() if _short(name)}
    architecture = str(said.get("general.architecture"))
    found = _keys(name_of(path), architecture, said, held)
    _whole(name_of(path), found, held)
    found["quantization_config"] = {
        "quant_method": "gguf",
        "formats": _formats(
            _paths(library, architecture, int(found["num_hidden_layers"])), library, held
        ),
    }
    return found


def tensors(path: str | Path) -> Iterator[Tensor]:
    """The tensors of a file, with the modules that they may be under Hugging Face's names."""
    library, file, held = _read(path)
    architecture = str(file.fields["general.architecture"].contents())
    layers = int(file.fields[f"{architecture}.block_count"].contents())
    places: dict[str, list[tuple[str, ...]]] = {}
    for path_of, name in _paths(library, architecture, layers).items():
        places.setdefault(name, []).append(spelled(path_of))
    for name, tensor in held.items():
        module, _, last = name.rpartition(".")
        own = last in ("weight", "bias")
        there = places.get(module if own else name, [spelled(name)])
        yield Tensor(
            *(name, tuple(dict.fromkeys(there)), int(tensor.n_elements)),
            bias=last == "bias" if own else None,
        )


def _read(path: str | Path) -> tuple[Any, Any, Mapping[str, Any]]:
    """The library, a file, and the tensors of it and of those that its model lies in besides."""
    try:
        import gguf  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise CoverageError(
            f"{name_of(path)}: reading GGUF files needs the library gguf;"
            " pip install 'hwmodel[gguf]'"
        ) from None
    library: Any = gguf
    file = _opened(library, path)
    split = file.fields.get("split.count")
    others = _others(Path(path), int(split.contents()) if split else 1)
    every = (file, *(_opened(library, other) for other in others))
    return library, file, {str(tensor.name): tensor for each in every for tensor in each.tensors}


def _opened(library: Any, path: str | Path) -> Any:
    try:
        return library.GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise InputError(f"{name_of(path)}: expected a GGUF file: {error}") from None


def _others(path: Path, count: int) -> list[Path]:
    """The files beside the first of a model in several, `name-00001-of-00003.gguf`."""
    if count == 1:
        return []
    front, found, rest = path.name.rpartition(f"-of-{count:05}")
    names = [f"{front[:-5]}{n:05}{found}{rest}" for n in range(1, count + 1)]
    missing = [name for name in names if not (path.parent / name).is_file()]
    if path.name not in names or missing:
        raise InputError(
            f"{name_of(path)}: expected one of {count} files, {names[0]!r} and so on, all of them"
            f" here; missing: {', '.join(missing) or 'none'}"
        )
    return [path.parent / name for name in names if name != path.name]


def _whole(where: str, found: Mapping[str, Any], held: Mapping[str, Any]) -> None:
    """Refuses sizes that the file's tensors do not have, and layers of which it has none."""
    hidden = int(held["token_embd.weight"].shape[0])
    if hidden != found.get("hidden_size", hidden):
        raise InputError(
            f"{where}: embedding_length: expected {hidden}, as token_embd.weight has it,"
            f" found {found['hidden_size']}"
        )
    there = {name.split(".")[1] for name in held if name.startswith("blk.")}
    absent = [n for n in range(int(found["num_hidden_layers"])) if str(n) not in there]
    if absent:
        raise InputError(
            f"{where}: expected tensors blk.{absent[0]}.* of layer {absent[0]}, found none;"
            f" {len(absent)} of {found['num_hidden_layers']} layers are not in the file"
        )


def _short(name: str) -> bool:
    """Whether a field is a setting: tables of tokens are long, and say nothing here."""
    return not name.startswith("tokenizer.")


def _keys(
    where: str, architecture: str, said: Mapping[str, Any], held: Mapping[str, Any]
) -> dict[str, Any]:
    """The config's keys but for formats."""
    experts = said.get(f"{architecture}.expert_count") or 0
    kind = ARCHITECTURES.get(architecture, architecture.replace("-", "_"))
    kind = "mixtral" if kind == "llama" and experts else kind
    found: dict[str, Any] = {
        "model_type": kind,
        "name": said.get("general.name", Path(where).stem),
        "torch_dtype": "float16",
        "tie_word_embeddings": "output.weight" not in held,
    }
    for key, name in KEYS.items():
        value = said.get(f"{architecture}.{key}")
        if value is not None:
            found[name] = _alike(where, f"{architecture}.{key}", value)
    if experts:
        found[EXPERTS.get(kind, "num_local_experts")] = int(experts)
    inner = found.get("moe_intermediate_size")
    if inner is not None and known(kind) and "moe_intermediate_size" not in record(kind).modelled():
        found["intermediate_size"] = found.pop("moe_intermediate_size")
    table = held.get("token_embd.weight")
    if table is None:
        raise InputError(f"{where}: expected a tensor token_embd.weight, found none")
    found["vocab_size"] = int(table.shape[1])
    if kind in ("llama", "qwen3") and "blk.0.attn_q.bias" in held:
        found["attention_bias"] = True
    return found | _latent(architecture, said) if kind == "deepseek_v2" else found


def _latent(architecture: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Head sizes of latent attention, which the file has with or without its compression."""
    rotated = said[f"{architecture}.rope.dimension_count"]
    key, value = (
        said.get(f"{architecture}.attention.{part}_length_mla")
        or said[f"{architecture}.attention.{part}_length"]
        for part in ("key", "value")
    )
    heads = said[f"{architecture}.attention.head_count"]
    return {
        **{"qk_rope_head_dim": rotated, "qk_nope_head_dim": key - rotated, "v_head_dim": value},
        **{"num_key_value_heads": heads, "head_dim": key},
    }


def _alike(where: str, key: str, value: Any) -> Any:
    """A number; of one for each layer the common one."""
    if not isinstance(value, list):
        return value
    every = {*map(int, value)}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if len(every) != 1:
        raise CoverageError(f"{where}: {key}: expected one number for all layers, found {every}")
    return every.pop()


def _paths(library: Any, architecture: str, layers: int) -> Mapping[str, str]:
    """Hugging Face's name of a module -> the file's."""
    kinds = {name: kind for kind, name in library.MODEL_ARCH_NAMES.items()}
    if architecture not in kinds:
        raise UnknownNameError("architecture of the library gguf", architecture, kinds)
    named = library.get_tensor_name_map(kinds[architecture], layers).mapping
    return {path: name for path, (_, name) in named.items()}


def _formats(paths: Mapping[str, str], library: Any, held: Mapping[str, Any]) -> dict[str, str]:
    """Module -> format of its weights."""
    found: dict[str, str] = {}
    for path, name in paths.items():
        tensor = held.get(f"{name}.weight")
        if tensor is not None and path.startswith(("model.layers.", "model.embed_tokens", "lm_")):
            found[path] = _format(library, tensor.tensor_type)
    return found


def _format(library: Any, kind: Any) -> str:
    """Our name of a type: bits of a weight, and those that a block of weights has beside them."""
    if kind.name in FLOATS or kind.name in MICROSCALED:
        return FLOATS.get(kind.name) or MICROSCALED[kind.name]
    block, size = map(int, library.GGML_QUANT_SIZES[kind])
    bits = min(8, size * 8 // block)
    scales = size * 8 - bits * block
    return f"int{bits}@{block}:{scales}" if scales else f"int{bits}"
