"""Quantising as asked: what tools would make of a checkpoint that is not quantised.

`quantise="fp8"` means llm-compressor's preset of that name on all linear layers, with its usual
`ignore`: the language-model head, embeddings, norms, routers and towers beside the language model
stay as they are. Groups of 4-bit integers are symmetric, with a 16-bit scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.quantisation import Quantisation
from hwmodel.quantity.errors import UnknownNameError

PRESETS = "compressed-tensors, quant_scheme.py (PRESET_SCHEMES), as llm-compressor applies it"


@dataclass(frozen=True)
class Scheme:
    """Formats of weights and of what they multiply (empty: as activations); where this is read."""

    weight: str
    input: str
    source: str


SCHEMES: Mapping[str, Scheme] = {
    "fp8": Scheme("fp8", "fp8", f"{PRESETS}: FP8_DYNAMIC; vLLM's --quantization fp8"),
    "fp8-block": Scheme("fp8@16384:32", "fp8", f"{PRESETS}: FP8_BLOCK, 128 by 128"),
    "w8a8": Scheme("int8", "int8", f"{PRESETS}: INT8_W8A8, a scale a channel and a token"),
    "w8a16": Scheme("int8", "", f"{PRESETS}: W8A16, a scale a channel"),
    "w4a16": Scheme("int4@128:16", "", f"{PRESETS}: W4A16, groups of 128"),
    "awq": Scheme("int4@128:20", "", "AutoAWQ's default: groups of 128, fp16 scales, zero points"),
    "gptq": Scheme("int4@128:20", "", "AutoGPTQ's default: groups of 128, fp16 scales, `qzeros`"),
    "w4a8": Scheme("int4@128:16", "int8", f"{PRESETS}: W4A8, groups of 128"),
    "w4afp8": Scheme("int4@128:16", "fp8", f"{PRESETS}: W4AFP8, groups of 128"),
    "nvfp4": Scheme("nvfp4", "nvfp4", f"{PRESETS}: NVFP4"),
    "nvfp4a16": Scheme("nvfp4", "", f"{PRESETS}: NVFP4A16"),
    "mxfp4": Scheme("mxfp4", "mxfp4", f"{PRESETS}: MXFP4"),
    "mxfp4a16": Scheme("mxfp4", "", f"{PRESETS}: MXFP4A16"),
    "mxfp8": Scheme("fp8@32:8", "fp8", f"{PRESETS}: MXFP8"),
    "nf4": Scheme("nf4@64:32", "", "bitsandbytes: load_in_4bit with nf4, as transformers loads it"),
    "bnb-int8": Scheme("int8", "int8", "bitsandbytes: load_in_8bit, as transformers loads it"),
}
"""What `quantise` may be."""

KEPT = "the language-model head, embeddings, norms, routers and towers beside the language model"


def as_asked(
    where: str, name: str, stored: str, instead: Quantisation | None = None
) -> Quantisation:
    """The formats that a scheme makes of a checkpoint; `instead`: of what its config says.

    Its warnings tell what was kept. Raises `UnknownNameError`.
    """
    if name not in SCHEMES:
        raise UnknownNameError("way to quantise", name, SCHEMES)
    scheme = SCHEMES[name]
    formats = ModuleFormats(scheme.weight, scheme.input or stored)
    read = "" if formats.input == stored else f" and read in {formats.input}"
    told = [
        f"{where}: quantised as asked ({name}): linear layers stored in {formats.weight}{read};"
        f" kept in {stored}: {KEPT} ({scheme.source})"
    ]
    if instead is not None and not instead.kept:
        told.append(f"{where}: its own quantization_config is overruled by quantise={name}")
    kv = None if instead is None else instead.kv
    return Quantisation(where, stored, formats, towers=False, kv=kv, warnings=tuple(told))
