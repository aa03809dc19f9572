"""Which format each part of a model is stored in: weights, keys and values, activations.

An argument wins over the config, with a warning where the two differ; absent, formats come from
`quantization_config`, then from `torch_dtype`, then bf16. A quantised format holds for the linear
layers of the decoder; embedding, language-model head, router, norms and biases keep the format of
the activations, as quantised checkpoints do. Block scales count as bytes of the weight, under names
such as `int4@128:20` (see `hwmodel.dtypes`).

Sources of the layouts: transformers' fine-grained fp8 (fp32 scale per `weight_block_size` block);
GPTQ and AWQ checkpoints (fp16 scale per group of inputs, zero points in the weights' own width).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from hwmodel.dtypes import dtype as format_of
from hwmodel.einsum.workloads.config import Config
from hwmodel.errors import CoverageError, InputError

KNOWN_METHODS = ("awq", "fp8", "gptq")
DEFAULT = "bf16"


@dataclass(frozen=True)
class Precision:
    """Formats by part; `linear` is what a quantised linear layer reads its input in."""

    weight: str
    kv: str
    activation: str
    linear: str

    @property
    def unquantised(self) -> str:
        """Format of embedding, head, router, norms and biases."""
        return self.weight if format_of(self.weight).bits >= 16 else self.activation


def precision(
    config: Config,
    where: str,
    *,
    dtype: str | None = None,
    weight_dtype: str | None = None,
    kv_dtype: str | None = None,
    activation_dtype: str | None = None,
) -> tuple[Precision, tuple[str, ...]]:
    """Formats of a model, and warnings where an argument overrules its config.

    Raises `UnknownNameError` for a format that does not exist, `CoverageError` for a way of
    quantising that is not modelled.
    """
    stated = config.dtype or config.torch_dtype
    warnings: list[str] = []
    if stated is None:
        warnings.append(f"{where}: no torch_dtype; {DEFAULT} assumed")
    stored = _canonical(where, "torch_dtype", stated or DEFAULT)
    weight, linear = _quantised(where, config.quantization_config, stored)
    found = {"weight": weight, "kv": stored, "activation": stored}
    given = {"weight": weight_dtype, "kv": kv_dtype, "activation": activation_dtype}
    chosen: dict[str, str] = {}
    for part, present in found.items():
        asked = given[part] or dtype
        chosen[part] = _canonical("model", f"{part}_dtype", asked) if asked else present
        if chosen[part] != present and (stated is not None or part == "weight" != stored):
            warnings.append(
                f"{where}: {part} format {present} overruled by the argument {chosen[part]}"
            )
    follows = chosen["weight"] == weight and chosen["activation"] == stored
    linear = linear if follows else chosen["activation"]
    if linear != chosen["activation"]:
        warnings.append(
            f"{where}: linear layers read {linear}; the kernels that quantise to it are left out"
        )
    if format_of(chosen["activation"]).bits < 16:
        warnings.append(
            f"{where}: activations are taken as stored in {chosen['activation']} between kernels"
        )
    return Precision(chosen["weight"], chosen["kv"], chosen["activation"], linear), tuple(warnings)


def _canonical(where: str, key: str, name: str) -> str:
    try:
        return format_of(name).name
    except InputError as error:
        raise InputError(f"{where}: {key}: {error}") from None


def _quantised(where: str, quantisation: Mapping[str, Any] | None, stored: str) -> tuple[str, str]:
    """Formats of a quantised checkpoint's linear weights, and of the input that they multiply."""
    if not quantisation:
        return stored, stored
    method = quantisation.get("quant_method")
    if method == "fp8":
        weight = f"fp8{_block_scales(where, quantisation)}"
        return weight, "fp8" if quantisation.get("activation_scheme") else stored
    if method in ("gptq", "awq"):
        bits = _number(where, quantisation, "bits")
        group = _number(where, quantisation, "group_size")
        if bits not in (4, 8):
            raise CoverageError(
                f"{where}: quantization_config.bits: {bits} is not modelled; expected 4 or 8"
            )
        if group < 1:
            raise CoverageError(
                f"{where}: quantization_config.group_size: {group} is not modelled;"
                " expected a number of inputs per scale, such as 128"
            )
        return f"int{bits}@{group}:{16 + bits}", stored
    raise CoverageError(
        f"{where}: quantization_config.quant_method: {method!r} is not modelled; expected one of"
        f" {', '.join(KNOWN_METHODS)}, or give weight_dtype and ignore the key quantization_config"
    )


def _block_scales(where: str, quantisation: Mapping[str, Any]) -> str:
    block = quantisation.get("weight_block_size")
    if block is None:
        return ""
    sides = cast(list[Any], block) if isinstance(block, list) else []
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise InputError(
            f"{where}: quantization_config.weight_block_size: expected two whole numbers,"
            f" found {block!r}"
        )
    return f"@{sides[0] * sides[1]}:32"


def _number(where: str, quantisation: Mapping[str, Any], key: str) -> int:
    value = quantisation.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(
            f"{where}: quantization_config.{key}: expected a whole number, found {value!r}"
        )
    return value
