"""Quantised checkpoints: formats of linear layers, of what they multiply, and of the cache.

A config says so in `quantization_config`, or in a file `hf_quant_config.json` beside it. Methods:

    fp8                 transformers' fine-grained fp8 (fp32 scale per `weight_block_size` block)
    gptq, awq           integers, an fp16 scale per group of inputs, zero points in their own width
    compressed-tensors  one group of `config_groups` for all linear layers, from llm-compressor
    modelopt            NVIDIA's ModelOpt: FP8, NVFP4, W4A16_AWQ

Modules that a checkpoint leaves unquantised (`modules_to_not_convert`, `ignored_layers`, `ignore`,
`exclude_modules`) are followed layer by layer and module by module. Names are matched as the
libraries do: a whole name, a dotted part of one, a pattern with `*`, or `re:` and an expression.
What would need a layer's parts in two formats that a fused product has as one is refused by name; a
name that no module has, and a key that is not read, are told in warnings.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import translate
from typing import Any, cast

from hwmodel.einsum.workloads.config import Config
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import PATTERN_REPEATS

EXCLUDED = ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules")
"""Keys that list what is not quantised."""

WIDE = (
    "lm_head embed_tokens norm input_layernorm post_attention_layernorm q_norm k_norm gate router"
    " e_score_correction_bias rotary_emb mtp visual vision_tower"
).split()
"""Modules that no method quantises, the language-model head apart."""

_READ = {
    "fp8": "activation_scheme weight_block_size fmt scale_fmt kv_cache_scheme dequantize",
    "gptq": "bits group_size desc_act sym lm_head damp_percent true_sequential static_groups"
    " checkpoint_format meta model_name_or_path model_file_base_name is_marlin_format",
    "awq": "bits group_size zero_point version backend do_fuse exllama_config",
    "compressed-tensors": "config_groups format quantization_status global_compression_ratio"
    " kv_cache_scheme version sparsity_config transform_config",
    "modelopt": "config_groups quant_algo kv_cache_scheme kv_cache_quant_algo producer group_size",
}
"""Method -> keys that are read, or that change no count."""

_ALGORITHMS = {
    "FP8": ("fp8", "fp8"),
    "NVFP4": ("nvfp4", "nvfp4"),
    "W4A16_AWQ": ("int4", ""),
}
"""ModelOpt's `quant_algo` -> format of weights, of what they multiply (empty: as stored)."""


@dataclass(frozen=True)
class Quantised:
    """Formats of a checkpoint: linear weights, their input, the cache (None: as stored).

    `kept` counts, by product of a layer (qkv, output, gate-up, down, experts), the layers in which
    it is not quantised; `head` says whether the language-model head is quantised too.
    """

    weight: str
    linear: str
    kv: str | None = None
    kept: tuple[tuple[str, int], ...] = ()
    head: bool = False
    warnings: tuple[str, ...] = ()


def quantised(where: str, config: Config, stored: str) -> Quantised:
    """What a config says of its checkpoint; `stored` is the format of what is not quantised."""
    given = config.quantization_config
    if not given:
        return Quantised(stored, stored)
    method = given.get("quant_method")
    if method is None and "quant_algo" in given:
        method = "modelopt"
    if not isinstance(method, str) or method not in _METHODS:
        raise CoverageError(
            f"{where}: quantization_config.quant_method: {method!r} is not modelled; expected one"
            f" of {', '.join(sorted(_METHODS))}, or give weight_dtype and ignore the key"
            " quantization_config"
        )
    weight, linear = _METHODS[method](where, given, stored)
    patterns = _excluded(where, given)
    kept, unknown = _kept(where, config, patterns)
    everything = method in ("compressed-tensors", "modelopt") and not config.tie_word_embeddings
    known = {"quant_method", *EXCLUDED, *_READ[method].split()}
    unread = sorted({*given} - known)
    warnings = (
        *(f"{where}: quantization_config.{key} is not read" for key in unread),
        *(f"{where}: quantization_config: {name!r} names no module known here" for name in unknown),
    )
    return Quantised(
        weight,
        linear,
        _cache(where, given),
        tuple(kept.items()),
        everything and not any(match("lm_head") for _, match in patterns),
        warnings,
    )


def _fp8(where: str, given: Mapping[str, Any], stored: str) -> tuple[str, str]:
    weight = f"fp8{_block_scales(where, given.get('weight_block_size'))}"
    return weight, "fp8" if given.get("activation_scheme") else stored


def _integers(where: str, given: Mapping[str, Any], stored: str) -> tuple[str, str]:
    """GPTQ and AWQ."""
    for key in ("lm_head", "dynamic", "modules_in_block_to_quantize"):
        if given.get(key):
            raise _unmodelled(where, key, given[key], "expected all linear layers of the decoder")
    bits, group = _number(where, given, "bits"), _number(where, given, "group_size")
    if bits not in (4, 8):
        raise _unmodelled(where, "bits", bits, "expected 4 or 8")
    if group < 1:
        wanted = "expected a number of inputs per scale, such as 128"
        raise _unmodelled(where, "group_size", group, wanted)
    return f"int{bits}@{group}:{16 + bits}", stored


def _compressed(where: str, given: Mapping[str, Any], stored: str) -> tuple[str, str]:
    """compressed-tensors: the one group of `config_groups`."""
    groups = given.get("config_groups")
    if not isinstance(groups, Mapping) or len(cast(Mapping[str, Any], groups)) != 1:
        raise _unmodelled(where, "config_groups", groups, "expected one group for all layers")
    (group,) = cast(Mapping[str, Any], groups).values()
    if not isinstance(group, Mapping):
        raise _unmodelled(where, "config_groups", group, "expected a table")
    table = cast(Mapping[str, Any], group)
    targets = table.get("targets", ["Linear"])
    if targets != ["Linear"]:
        raise _unmodelled(where, "config_groups.targets", targets, "expected ['Linear']")
    weights, inputs = table.get("weights"), table.get("input_activations")
    if not isinstance(weights, Mapping):
        raise _unmodelled(where, "config_groups.weights", weights, "expected a table")
    weight = _number_format(where, cast(Mapping[str, Any], weights))
    if inputs is None:
        return weight, stored
    if not isinstance(inputs, Mapping):
        raise _unmodelled(where, "config_groups.input_activations", inputs, "expected a table")
    return weight, _number_format(where, cast(Mapping[str, Any], inputs)).partition("@")[0]


def _number_format(where: str, given: Mapping[str, Any]) -> str:
    """The format that `num_bits`, `type`, `group_size` and `symmetric` make."""
    bits, kind, group = given.get("num_bits"), given.get("type"), given.get("group_size")
    zero = 0 if given.get("symmetric", True) else cast(int, bits)
    match kind, bits:
        case "float", 8:
            return f"fp8{_block_scales(where, given.get('block_structure'))}"
        case "float", 4 if group in (16, 32):
            return "nvfp4" if group == 16 else "mxfp4"
        case "int", 4 | 8 if isinstance(group, int) and group > 0:
            return f"int{bits}@{group}:{16 + zero}"
        case "int", 4 | 8:
            return f"int{bits}"
        case _:
            found = f"{kind} of {bits} bits, groups of {group}"
            raise _unmodelled(where, "config_groups", found, "expected float or int of 4 or 8 bits")


def _modelopt(where: str, given: Mapping[str, Any], stored: str) -> tuple[str, str]:
    algorithm = given.get("quant_algo")
    if algorithm not in _ALGORITHMS:
        wanted = f"expected one of {', '.join(_ALGORITHMS)}"
        raise _unmodelled(where, "quant_algo", algorithm, wanted)
    weight, linear = _ALGORITHMS[algorithm]
    if weight == "int4":
        weight = f"int4@{_number(where, given, 'group_size')}:16"
    return weight, linear or stored


_METHODS: dict[str, Callable[[str, Mapping[str, Any], str], tuple[str, str]]] = {
    "fp8": _fp8,
    "gptq": _integers,
    "awq": _integers,
    "compressed-tensors": _compressed,
    "modelopt": _modelopt,
}


def _cache(where: str, given: Mapping[str, Any]) -> str | None:
    """Format of keys and values; None where they are as the activations."""
    said = given.get("kv_cache_scheme", given.get("kv_cache_quant_algo"))
    if said is None:
        return None
    if isinstance(said, Mapping):
        return _number_format(where, cast(Mapping[str, Any], said))
    names = {"FP8": "fp8", "NVFP4": "nvfp4", "INT8": "int8"}
    if not isinstance(said, str) or said.upper() not in names:
        raise _unmodelled(where, "kv_cache_scheme", said, f"expected one of {', '.join(names)}")
    return names[said.upper()]


Pattern = tuple[str, Callable[[str], Any]]


def _excluded(where: str, given: Mapping[str, Any]) -> list[Pattern]:
    """Names that are not to be quantised, each with what tells whether a module has it."""
    found: list[Pattern] = []
    for key in EXCLUDED:
        names = given.get(key)
        if names is None:
            continue
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):  # pyright: ignore[reportUnknownVariableType]
            raise InputError(
                f"{where}: quantization_config.{key}: expected a list of names, found {names!r}"
            )
        found += [(name, _matcher(where, key, name)) for name in cast(list[str], names)]
    return found


def _matcher(where: str, key: str, name: str) -> Callable[[str], Any]:
    """What tells whether a module's full name is meant."""
    if name.startswith("re:"):
        what = f"{where}: quantization_config.{key}: {shown(name)}"
        if not _quick(name[3:]):
            raise InputError(
                f"{what}: expected a regular expression of at most {PATTERN_REPEATS} repetitions"
                f" and as many groups, none of which is repeated; list the modules by name, or"
                " with * and ?"
            )
        try:
            with warnings.catch_warnings(action="ignore", category=FutureWarning):
                return re.compile(name[3:]).match
        except (re.error, OverflowError) as error:
            raise InputError(f"{what} is no regular expression: {error}") from None
    if "*" in name or "?" in name:
        whole = translate(name).removesuffix(r"\Z")
        return re.compile(rf"(?s:.*\.)?(?:{whole})(?:\..*)?\Z").match
    return re.compile(rf"(?:.*\.)?{re.escape(name)}(?:\..*)?\Z").match


def _quick(pattern: str) -> bool:
    """Whether a regular expression surely ends soon on a module's name.

    A repeated group may try exponentially many ways to match, and each further repetition
    multiplies them by the length of the name.
    """
    plain = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "x", pattern, flags=re.DOTALL).replace("(?", "(")
    counts = (len(re.findall(kind, plain)) for kind in (r"[*+{]", r"\?", r"\("))
    return max(counts) <= PATTERN_REPEATS and not re.search(r"\)[*+?{]", plain)


def _kept(where: str, config: Config, patterns: list[Pattern]) -> tuple[dict[str, int], list[str]]:
    """Layers, by product, that stay unquantised; and names that no module has."""
    kept: dict[str, int] = {}
    used: set[str] = set()

    def left_out(module: str) -> bool:
        hits = [name for name, match in patterns if match(module)]
        used.update(hits)
        return bool(hits)

    for name, _ in patterns:
        if re.search(r"experts\.\d", name):
            raise _unmodelled(where, "experts", name, "expected all experts of a layer alike")
    for module in WIDE:
        left_out(module)
        left_out(f"model.layers.0.{module}")
    for layer in range(config.num_hidden_layers) if patterns else ():
        for product, base, modules, joint in _products(config, layer):
            out = [name for name in modules if left_out(f"{base}.{name}")]
            together = joint and left_out(f"{base}.{joint}")
            if out and len(out) < len(modules) and not together:
                raise CoverageError(
                    f"{where}: quantization_config: layer {layer}: {', '.join(out)} of"
                    f" {', '.join(modules)} not quantised; they are modelled as one fused product"
                    " in one format"
                )
            kept[product] = kept.get(product, 0) + bool(out or together)
    unknown = [name for name, _ in patterns if name not in used and not _wide(name)]
    return {product: layers for product, layers in kept.items() if layers}, unknown


def _wide(name: str) -> bool:
    """Whether a name ends in a module that no method quantises."""
    return any(part.rstrip("*") in WIDE for part in name.split("."))


def _products(config: Config, layer: int) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Products of a layer: name, where its modules are, their names, and a name for all of them."""
    base = f"model.layers.{layer}"
    yield "qkv", f"{base}.self_attn", ("q_proj", "k_proj", "v_proj"), "qkv_proj"
    yield "output", f"{base}.self_attn", ("o_proj",), ""
    if not config.is_sparse(layer):
        yield "gate-up", f"{base}.mlp", ("gate_proj", "up_proj"), "gate_up_proj"
        yield "down", f"{base}.mlp", ("down_proj",), ""
    elif config.model_type == "mixtral":
        yield "experts", f"{base}.block_sparse_moe.experts.0", ("w1", "w2", "w3"), ""
    else:
        experts = ("gate_proj", "up_proj", "down_proj")
        yield "experts", f"{base}.mlp.experts.0", experts, ""


def _block_scales(where: str, block: Any) -> str:
    if block is None:
        return ""
    sides = cast(list[Any], block) if isinstance(block, list) else []
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise InputError(
            f"{where}: quantization_config.weight_block_size: expected two whole numbers,"
            f" found {block!r}"
        )
    return f"@{sides[0] * sides[1]}:32"


def _number(where: str, given: Mapping[str, Any], key: str) -> int:
    value = given.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(
            f"{where}: quantization_config.{key}: expected a whole number, found {value!r}"
        )
    return value


def _unmodelled(where: str, key: str, found: Any, wanted: str) -> CoverageError:
    shown = found if isinstance(found, (int, float)) else repr(found)
    return CoverageError(f"{where}: quantization_config.{key}: {shown} is not modelled; {wanted}")
