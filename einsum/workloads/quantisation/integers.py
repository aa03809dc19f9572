"""GPTQ, AWQ and AutoRound: integers, an fp16 scale for each group of inputs, and zero points.

Zero points have the width of the weights and are stored in any case (AutoGPTQ's and AutoAWQ's
`qzeros`); a group of -1 is a whole channel. Layers of the decoder's blocks are quantised, the head
where `lm_head` says so. GPTQModel's `dynamic` overrides modules by expression (`-:` leaves one as
it is), AutoRound's `extra_config` by name. Products run in the activations' format.
"""

from collections.abc import Mapping
from typing import Any, cast

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.cache import cache
from hwmodel.einsum.workloads.quantisation.modules import expression, pattern
from hwmodel.einsum.workloads.quantisation.rules import Rule, Said, method
from hwmodel.einsum.workloads.quantisation.table import Table, integers

GPTQ = (
    "bits group_size desc_act sym lm_head damp_percent true_sequential static_groups"
    " checkpoint_format meta model_name_or_path model_file_base_name is_marlin_format dynamic"
    " modules_in_block_to_quantize dataset tokenizer batch_size pad_token_id use_cuda_fp16"
    " model_seqlen block_name_to_quantize module_name_preceding_first_block use_exllama"
    " max_input_length exllama_config cache_block_outputs format pack_dtype backend quant_type"
)
AWQ = "bits group_size zero_point version backend do_fuse exllama_config fuse_max_seq_len"
AUTOROUND = (
    "bits group_size sym packing_format autoround_version auto_round_version block_name_to_quantize"
    " to_quant_block_names extra_config data_type act_bits act_data_type act_group_size act_sym"
    " act_dynamic backend iters nsamples seqlen lr minmax_lr low_gpu_mem_usage gradient_accumulate"
    "_steps batch_size enable_quanted_input amp scale_dtype enable_minmax_tuning damp_percent"
    " true_sequential desc_act super_bits super_group_size lm_head quant_lm_head dataset"
    " modules_in_block_to_quantize model_free provider"
)

GROUP = 128
"""Inputs that share a scale where `group_size` is absent (AutoGPTQ's and AutoAWQ's default)."""


def read(table: Table) -> Said:
    """Formats of a GPTQ or AWQ checkpoint."""
    wide, rules = _formats(table), [*_overridden(table)]
    only = table.get("modules_in_block_to_quantize")
    if only is not None:
        rules += [
            Rule(pattern(f"{table.where}.modules_in_block_to_quantize", name), wide)
            for name in _flat(table, only)
        ]
    return Said(
        None if only is not None else wide,
        tuple(rules),
        head=bool(table.get("lm_head") or table.get("quant_lm_head")),
        kv=cache(table),
    )


def rounded(table: Table) -> Said:
    """Formats of an AutoRound checkpoint: as GPTQ's, or microscaled with activations alike."""
    said = read(table)
    kind, activation = table.get("data_type", "int"), table.get("act_bits", 16)
    if kind in ("int", "int_sym") and activation >= 16:
        return said
    formats = {
        ("nv_fp", 4): "nvfp4",
        ("nv_fp4_with_static_gs", 4): "nvfp4",
        ("mx_fp", 4): "mxfp4",
        ("mxfp4", 4): "mxfp4",
        ("nvfp4", 4): "nvfp4",
        ("mx_fp", 8): "fp8@32:8",
        ("fp", 8): "fp8",
        ("int", 8): "int8",
    }
    weight = formats.get((kind, table.number("bits")))
    if weight is None:
        raise table.unmodelled("data_type", kind, "expected int, nv_fp, mx_fp or fp")
    same = weight.partition("@")[0]
    linear = {4: same, 8: same if weight != "nvfp4" else "fp8"}.get(activation, table.stored)
    return Said(ModuleFormats(weight, linear), said.rules, head=said.head, kv=said.kv)


def _formats(table: Table) -> ModuleFormats:
    bits, group = table.number("bits"), table.number("group_size", GROUP)
    zero = 0 if table.get("zero_point") is False else bits
    return ModuleFormats(integers(table, "bits", bits, group, 16 + zero), table.stored)


def _overridden(table: Table) -> list[Rule]:
    """Modules with bits and groups of their own, or none."""
    own = {"bits": table.number("bits"), "group_size": table.number("group_size", GROUP)}
    rules: list[Rule] = []
    for key in ("dynamic", "extra_config"):
        lines = table.table(key)
        for name, said in lines.given.items():
            if not isinstance(said, Mapping):
                raise lines.wrong(name, "a table", said)
            given = {k: v for k, v in cast(Mapping[str, Any], said).items() if v is not None}
            line = lines.of(name, own | given)
            kept = name.startswith("-:") or line.number("bits") >= 16
            text = name.removeprefix("-:").removeprefix("+:")
            where = f"{table.where}.{key}"
            found = expression(where, text) if key == "dynamic" else pattern(where, text)
            rules.append(Rule(found, None if kept else _formats(line)))
    return rules


def _flat(table: Table, names: Any) -> list[str]:
    """Names in a list, or in lists within one."""
    if isinstance(names, str):
        return [names]
    if not isinstance(names, list):
        raise table.wrong("modules_in_block_to_quantize", "a list of names", names)
    return [name for each in cast(list[Any], names) for name in _flat(table, each)]


GPTQ_METHOD = method(read, GPTQ)
AWQ_METHOD = method(read, AWQ)
AUTOROUND_METHOD = method(rounded, AUTOROUND)
