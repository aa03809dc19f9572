"""How a pool's engines are started: the command of each engine, with its flags.

Of vLLM's documentation, SGLang's server_args.py and TensorRT-LLM's trtllm-serve, whose further
options stand in a file that the command names.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from hwmodel.einsum.workloads.drafts import OWN, Drafts
from hwmodel.einsum.workloads.model import model
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.mappers.deployments.kinds import Kind
from hwmodel.mappers.deployments.pools import Pool

TRANSFER = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
"""How caches go from engines that read prompts to those that make tokens (vLLM's documentation)."""

OPTIONS = "options.yaml"


def command(engine: Engine, name: str, pool: Pool) -> str:
    """The command that starts each engine of a pool, how many there are, and on what."""
    flags = COMMANDS[engine.name](name, pool) if engine.name in COMMANDS else [engine.title, name]
    kind = pool.kind
    return f"{' '.join(flags)}  # {pool.replicas} x, {kind.devices} {kind.machine.name} each"


def name_of(draft: Drafts) -> str:
    """The model that drafts, as people call it."""
    return OWN if draft.model == OWN else str(model(draft.model).name)


def _vllm(name: str, pool: Pool) -> list[str]:
    kind, ways = pool.kind, pool.kind.ways
    flags = [f"vllm serve {name} --tensor-parallel-size {ways.tp}"]
    flags += [f"--pipeline-parallel-size {ways.pp}"] if ways.pp > 1 else []
    flags += [f"--data-parallel-size {ways.dp}"] if ways.dp > 1 else []
    flags += ["--enable-expert-parallel"] if ways.ep > 1 else []
    flags += ["--quantization fp8"] if _narrowed(kind) else []
    flags += ["--kv-cache-dtype fp8"] if kind.cache == "fp8" else []
    flags.append(f"--max-num-batched-tokens {pool.limits.tokens}")
    flags.append(f"--max-num-seqs {pool.limits.sequences}")
    if kind.draft is not None:
        drafts: dict[str, Any] = {"num_speculative_tokens": kind.queries - 1}
        methods = {None: "ngram", OWN: OWN}
        told = kind.draft.model in methods
        drafts |= {"method": methods[kind.draft.model]} if told else {"model": name_of(kind.draft)}
        flags.append(f"--speculative-config '{_json(drafts)}'")
    if pool.role != "both":
        flags.append(f"--kv-transfer-config '{_json(TRANSFER)}'")
    return flags


def _sglang(name: str, pool: Pool) -> list[str]:
    """Ranks that attend apart share the devices of `tp`, the chunk and the requests."""
    kind, ways = pool.kind, pool.kind.ways
    flags = [f"python -m sglang.launch_server --model-path {name} --tp-size {ways.tp * ways.dp}"]
    flags += [f"--pp-size {ways.pp}"] if ways.pp > 1 else []
    flags += [f"--dp-size {ways.dp} --enable-dp-attention"] if ways.dp > 1 else []
    flags += [f"--ep-size {ways.ep}"] if ways.ep > 1 else []
    flags += ["--quantization fp8"] if _narrowed(kind) else []
    flags += ["--kv-cache-dtype fp8_e4m3"] if kind.cache == "fp8" else []
    flags.append(f"--chunked-prefill-size {pool.limits.tokens * ways.dp}")
    flags.append(f"--max-running-requests {pool.limits.sequences * ways.dp}")
    flags += [f"--disaggregation-mode {pool.role}"] if pool.role != "both" else []
    return flags


def _trtllm(name: str, pool: Pool) -> list[str]:
    """What the command has no flag for stands in a file, here behind it."""
    kind, ways = pool.kind, pool.kind.ways
    flags = [f"trtllm-serve {name} --tp_size {ways.tp * ways.dp}"]
    flags += [f"--pp_size {ways.pp}"] if ways.pp > 1 else []
    flags += [f"--ep_size {ways.ep}"] if ways.ep > 1 else []
    flags.append(f"--max_num_tokens {pool.limits.tokens}")
    flags.append(f"--max_batch_size {pool.limits.sequences}")
    options: dict[str, Any] = {"enable_attention_dp": True} if ways.dp > 1 else {}
    options |= {"kv_cache_config": {"dtype": "fp8"}} if kind.cache == "fp8" else {}
    options |= {"cache_transceiver_config": {"backend": "DEFAULT"}} if pool.role != "both" else {}
    if options:
        flags.append(f"--extra_llm_api_options {OPTIONS}  # {OPTIONS}: {_json(options)};")
    if _narrowed(kind):
        flags.append("# a checkpoint that ModelOpt made fp8;")
    return flags


COMMANDS: Mapping[str, Callable[[str, Pool], list[str]]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "trtllm": _trtllm,
}
"""Engine -> the words of its command."""


def _narrowed(kind: Kind) -> bool:
    return kind.weights == "fp8" and kind.quantised


def _json(table: Mapping[str, Any]) -> str:
    return json.dumps(table, separators=(",", ":"))
