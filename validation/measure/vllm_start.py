"""Starts a vLLM engine with random weights from a `config.json`, and says what it decided.

The engine runs in this process (`VLLM_ENABLE_V1_MULTIPROCESSING=0`); with tensor parallelism each
GPU's worker has a process. FlashInfer's kernels, which compile for many minutes, are not used, nor
are all-reduces over NVLink multicast.
"""

# pyright: basic, reportMissingImports=false

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_ALLREDUCE_USE_SYMM_MEM", "0")
for _name in ("MOE_FP16", "MOE_FP8", "SAMPLER"):
    os.environ.setdefault(f"VLLM_USE_FLASHINFER_{_name}", "0")

CAPTURED = [1, 2, 4, *range(8, 257, 8)]
"""Batches that a graph is captured for; others are padded to the next."""
MOST_SEQUENCES, MOST_TOKENS, MOST_LENGTH, MEMORY_SHARE = 256, 8192, 17000, 0.92
WORKER = "hwmodel.validation.measure.vllm_worker.WorkerParts"


@dataclass(frozen=True)
class Started:
    """An engine (vLLM's `LLM`) and the longest request that it takes, in tokens."""

    llm: Any
    longest: int

    @property
    def engine(self) -> Any:
        """The `LLMEngine` of it."""
        return self.llm.llm_engine

    @property
    def core(self) -> Any:
        """Its core, with the scheduler."""
        return self.engine.engine_core.engine_core

    @property
    def cache(self) -> Any:
        """Layout of the cache of keys and values."""
        return self.core.scheduler.kv_cache_config

    def cache_tokens(self) -> int:
        """Tokens that the cache holds with requests of the longest context: what vLLM prints."""
        from vllm.v1.core.kv_cache_utils import get_max_concurrency_for_kv_cache_config

        requests = get_max_concurrency_for_kv_cache_config(self.engine.vllm_config, self.cache)
        return int(requests * self.longest)

    def cache_groups(self) -> list[dict[str, Any]]:
        """Layers that share a table of blocks: kind, layers, tokens and bytes of a block."""
        return [
            {
                "kind": type(group.kv_cache_spec).__name__,
                "layers": len(group.layer_names),
                "block_size": group.kv_cache_spec.block_size,
                "page_bytes": group.kv_cache_spec.page_size_bytes,
            }
            for group in self.cache.kv_cache_groups
        ]

    def facts(self) -> dict[str, Any]:
        """What the engine decided, and the first GPU's memory."""
        config = self.engine.vllm_config
        return {
            "tensor_parallel": config.parallel_config.tensor_parallel_size,
            "cache_tokens": self.cache_tokens(),
            "cache_blocks": config.cache_config.num_gpu_blocks,
            "block_size": config.cache_config.block_size,
            "cache_groups": self.cache_groups(),
            "memory_share": MEMORY_SHARE,
            "most_tokens": MOST_TOKENS,
            "most_sequences": MOST_SEQUENCES,
            "longest": self.longest,
            "captured": CAPTURED,
            "graph_mode": str(getattr(config.compilation_config, "cudagraph_mode", "")),
            "asynchronous": str(getattr(config.scheduler_config, "async_scheduling", "")),
            "second_runner": bool(getattr(config, "use_v2_model_runner", False)),
            **self.engine.collective_rpc("memory_in_use")[0],
        }


def start(
    config: dict[str, Any],
    *,
    quantization: str | None = None,
    cache_dtype: str = "auto",
    tensor_parallel: int = 1,
    seed: int = 1,
    eager_layers: int | None = None,
) -> Started:
    """An engine of a model's config; with `eager_layers`, only so many layers and no graphs."""
    from vllm import LLM

    folder = Path(tempfile.mkdtemp())
    (folder / "config.json").write_text(
        json.dumps({k: v for k, v in config.items() if not k.startswith("_")})
    )
    longest = min(MOST_LENGTH, int(config.get("max_position_embeddings", MOST_LENGTH)))
    more: dict[str, Any] = {}
    if eager_layers is not None:
        more = {"enforce_eager": True, "hf_overrides": {"num_hidden_layers": eager_layers}}
    else:
        passes = {"fuse_allreduce_rms": False} if tensor_parallel > 1 else {}
        more["compilation_config"] = {"cudagraph_capture_sizes": CAPTURED, "pass_config": passes}
    llm = LLM(
        model=str(folder), load_format="dummy", skip_tokenizer_init=True,
        enable_prefix_caching=False, max_num_seqs=MOST_SEQUENCES,
        max_num_batched_tokens=MOST_TOKENS, gpu_memory_utilization=MEMORY_SHARE,
        max_model_len=longest, quantization=quantization, kv_cache_dtype=cache_dtype, seed=seed,
        tensor_parallel_size=tensor_parallel, worker_extension_cls=WORKER,
        gdn_prefill_backend="triton", **more,
    )  # fmt: skip
    return Started(llm, longest)
