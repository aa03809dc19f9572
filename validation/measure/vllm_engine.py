"""Step times of a real vLLM on this GPU, with random weights: decode, prefill and mixed steps.

    python -m hwmodel.validation.measure.vllm_engine --model llama-3.1-8b --out DIR
        [--quantization fp8] [--tensor-parallel 2] [--seconds 200]

Writes DIR/header.json, and rows as they come to DIR/NAME.steps.jsonl (groups of steps of one kind),
DIR/NAME.kernels.jsonl (GPU-busy seconds by kernel name) and DIR/NAME.engine.json (what the engine
decided: blocks of the cache, sizes of graphs). The engine runs in this process.

How a step is timed. The engine schedules asynchronously: it schedules step k+1 before it waits for
step k, so that one call of `engine.step()` says little, but the times between calls of its
scheduler are in the mean those between steps. Each call is recorded with what it scheduled.
- *Decode*: requests of one context are admitted together, with output lengths such that the batch
  falls to a half, and again, after a hundred steps each: one prefill serves all batch sizes. A
  run of steps of one batch is a row; its first and last steps are left out.
- *Prefill*: one prompt (or several) on an empty engine, one output token, from the request to its
  end: the median of some.
- *Mixed*: the steps that fill the engine for a decode run: chunks of prompts beside decodes.
- *Busy*: a few steps of some batches run under torch's profiler (CUPTI); those are no timed rows.
- *Joules*: the board's counter over a run of steps, where it lasts half a second.

vLLM 0.22 (V1 engine). Token ids are random: weights are too, and a router of random weights spreads
random tokens over experts (`--experts` counts how many are reached, in eager mode, three layers).
"""

# pyright: basic, reportMissingImports=false

import argparse
import importlib
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
for _name in ("MOE_FP16", "MOE_FP8", "SAMPLER"):  # else FlashInfer compiles for many minutes
    os.environ.setdefault(f"VLLM_USE_FLASHINFER_{_name}", "0")

CONFIGS = Path(__file__).resolve().parents[2] / "einsum" / "workloads" / "configs"
CAPTURED = [1, 2, 4, *range(8, 257, 8)]
"""Batches that a graph is captured for; others are padded to the next."""
MOST_SEQUENCES, MOST_TOKENS, MOST_LENGTH, MEMORY_SHARE = 256, 8192, 17000, 0.92
RUN = 100
"""Decode steps of one batch size."""
SKIP_FIRST, SKIP_LAST, LEAST_STEPS = 6, 2, 12
SERIES = ((512, 256), (2048, 128), (8192, 24), (1200, 96))
"""(prompt tokens, most requests) of the decode series, the more telling first."""
PROMPTS = ((1, 128), (1, 512), (1, 777), (1, 2048), (1, 4096), (1, 8192), (1, 16384), (4, 1024),
           (16, 256), (3, 2500))  # fmt: skip
PROFILED = (1, 8, 64, 128, 256)
PROFILED_STEPS = 6
ENERGY_S = 0.5


def main() -> None:
    """Parses the command line and measures one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", required=True, help="a shipped config, or a path to a config.json"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quantization", default=None)
    parser.add_argument("--tensor-parallel", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--experts", action="store_true", help="count the experts reached; no times"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    run = Run(options)
    try:
        run.all()
    finally:
        run.close()


class Run:
    """One engine, its open files and its clock."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.begin = time.perf_counter()
        self.options = options
        self.name = (
            Path(options.model).name.removesuffix(".json")
            + (f".{options.quantization}" if options.quantization else "")
            + (f".tp{options.tensor_parallel}" if options.tensor_parallel > 1 else "")
        )
        self.random = random.Random(options.seed)
        path = Path(options.model)
        self.config = json.loads((path if path.is_file() else CONFIGS / f"{path}.json").read_text())
        self.requests = 0
        self.log: list[dict[str, Any]] = []
        self.steps_file = (options.out / f"{self.name}.steps.jsonl").open("w")
        self.kernels_file = (options.out / f"{self.name}.kernels.jsonl").open("w")

    def close(self) -> None:
        """Closes the files of rows."""
        self.steps_file.close()
        self.kernels_file.close()

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"{self.name} {time.perf_counter() - self.begin:7.1f} s  {text}", flush=True)

    def all(self) -> None:
        """The engine, then series of steps while there is time."""
        options = self.options
        self.engine = self.start()
        if options.experts:
            return self.count_experts()
        until = self.begin + options.seconds
        self.warm()
        self.write_header()
        for batch, prompt in PROMPTS:
            if time.perf_counter() < until and prompt * batch <= self.capacity:
                self.prefill(batch, prompt)
        for context, most in SERIES:
            if time.perf_counter() > until:
                self.say("out of time")
                break
            self.decode_series(context, min(most, self.capacity // (context + 12 * RUN)))
        if time.perf_counter() < until:
            self.profile_prefill(2048)
        self.say("done")

    def start(self) -> Any:
        """The engine, with its scheduler's calls recorded."""
        from vllm import LLM

        folder = Path(tempfile.mkdtemp())
        config = {k: v for k, v in self.config.items() if not k.startswith("_")}
        (folder / "config.json").write_text(json.dumps(config))
        longest = min(MOST_LENGTH, int(config.get("max_position_embeddings", MOST_LENGTH)))
        more: dict[str, Any] = {}
        if self.options.experts:
            more = {"enforce_eager": True, "hf_overrides": {"num_hidden_layers": 3}}
        else:
            more = {"compilation_config": {"cudagraph_capture_sizes": CAPTURED}}
        llm = LLM(
            model=str(folder), load_format="dummy", skip_tokenizer_init=True,
            enable_prefix_caching=False, max_num_seqs=MOST_SEQUENCES,
            max_num_batched_tokens=MOST_TOKENS, gpu_memory_utilization=MEMORY_SHARE,
            max_model_len=longest, quantization=self.options.quantization,
            tensor_parallel_size=self.options.tensor_parallel, seed=self.options.seed, **more,
        )  # fmt: skip
        self.llm, engine = llm, llm.llm_engine
        self.longest = longest
        core = engine.engine_core.engine_core
        self.core = core
        cache = engine.vllm_config.cache_config
        self.capacity = int(cache.num_gpu_blocks or 0) * int(cache.block_size)
        schedule = core.scheduler.schedule

        def recorded(*arguments: Any, **named: Any) -> Any:
            at = time.perf_counter()
            out = schedule(*arguments, **named)
            self.log.append({"t": at} | self.scheduled(out))
            return out

        core.scheduler.schedule = recorded
        self.say(f"engine ready, {self.capacity} tokens of cache")
        return engine

    def scheduled(self, out: Any) -> dict[str, int]:
        """Decodes and their keys, prompt tokens and the keys they see, of one scheduled step."""
        found = {"decodes": 0, "decode_keys": 0, "prompts": 0, "prompt_tokens": 0, "prompt_keys": 0}
        for name, tokens in out.num_scheduled_tokens.items():
            request = self.core.scheduler.requests[name]
            keys = int(request.num_computed_tokens)
            if keys <= request.num_prompt_tokens:
                found["prompts"] += 1
                found["prompt_tokens"] += tokens
                found["prompt_keys"] += keys
            else:
                found["decodes"] += 1
                found["decode_keys"] += keys
        return found

    def write_header(self) -> None:
        """Engine, libraries and board."""
        import torch

        from hwmodel.validation.measure.board import describe, open_board

        self.board = open_board()
        versions = {
            name: getattr(importlib.import_module(name), "__version__", "")
            for name in ("vllm", "torch", "triton", "transformers")
        }
        (self.options.out / "header.json").write_text(
            json.dumps(describe(self.board) | {"versions": versions}, indent=1, default=str)
        )
        config = self.engine.vllm_config
        found = {
            "model": self.name,
            "tensor_parallel": self.options.tensor_parallel,
            "cache_tokens": self.capacity,
            "block_size": config.cache_config.block_size,
            "memory_share": MEMORY_SHARE,
            "most_tokens": MOST_TOKENS,
            "most_sequences": MOST_SEQUENCES,
            "longest": self.longest,
            "captured": CAPTURED,
            "graph_mode": str(getattr(config.compilation_config, "cudagraph_mode", "")),
            "asynchronous": str(getattr(config.scheduler_config, "async_scheduling", "")),
            "allocated_bytes": torch.cuda.memory_allocated(),
            "reserved_bytes": torch.cuda.memory_reserved(),
            "free_bytes": torch.cuda.mem_get_info()[0],
            "ready_s": time.perf_counter() - self.begin,
        }
        path = self.options.out / f"{self.name}.engine.json"
        path.write_text(json.dumps(found, indent=1))

    def add(self, tokens: int, outputs: int) -> None:
        """A request of random tokens."""
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt

        vocabulary = int(self.config.get("vocab_size", 32000))
        ids = [self.random.randrange(10, vocabulary - 10) for _ in range(tokens)]
        self.requests += 1
        self.engine.add_request(
            f"r{self.requests}",
            TokensPrompt(prompt_token_ids=ids),
            SamplingParams(max_tokens=outputs, ignore_eos=True, detokenize=False),
        )

    def drain(self) -> None:
        """Steps until no request is left."""
        while self.engine.has_unfinished_requests():
            self.engine.step()

    def warm(self) -> None:
        """A few requests before anything is timed."""
        for tokens in (300, 1500, 4000):
            self.add(tokens, 12)
        self.drain()

    def write(self, row: dict[str, Any]) -> None:
        """One timed row, flushed."""
        head = {"model": self.name, "tensor_parallel": self.options.tensor_parallel}
        self.steps_file.write(json.dumps(head | row) + "\n")
        self.steps_file.flush()

    def prefill(self, batch: int, prompt: int, repeats: int = 5) -> None:
        """Prompts on an empty engine: seconds from the request to its token."""
        prompt = min(prompt, self.longest - 8)
        times: list[float] = []
        for _ in range(repeats + 1):
            for _ in range(batch):
                self.add(prompt, 1)
            at = time.perf_counter()
            self.drain()
            times.append(time.perf_counter() - at)
        times = times[1:]
        self.write(
            {"phase": "prefill", "batch": batch, "prompt": prompt}
            | {"time_s": statistics.median(times), "low_s": min(times), "high_s": max(times)}
            | {"repeats": repeats}
        )
        self.say(f"prefill {batch} x {prompt}: {statistics.median(times) * 1e3:.2f} ms")

    def decode_series(self, context: int, most: int) -> None:
        """Requests of one context whose number halves after each run of steps."""
        if most < 1:
            return
        batches = [most]
        while batches[-1] > 1:
            batches.append(batches[-1] // 2)
        fill = most * context // MOST_TOKENS + 1
        lives = {b: RUN * (i + 1) for i, b in enumerate(batches)}  # steps until fewer than b run
        self.log.clear()
        for index in range(most):
            # Request `index` is the first to go among those that run while more than `last` do.
            left = most - index  # requests that live at least as long as this one
            life = max(steps for b, steps in lives.items() if left <= b)
            waited = fill - (index + 1) * context // MOST_TOKENS
            self.add(context, min(life + waited, self.longest - context - 1))
        profiled: set[int] = set()
        steady, before = 0, -1
        energies: list[tuple[int, float, float]] = []
        while self.engine.has_unfinished_requests():
            self.engine.step()
            last = self.log[-1] if self.log else None
            if last is None:
                continue
            decodes = last["decodes"] if not last["prompts"] else -1
            steady = steady + 1 if decodes == before else 0
            before = decodes
            if decodes > 0 and steady in (SKIP_FIRST, RUN - 24):
                energies.append((len(self.log), time.perf_counter(), self.board.energy_j()))
            if decodes in PROFILED and steady == RUN - 18 and decodes not in profiled:
                profiled.add(decodes)
                self.profile_steps({"phase": "decode", "batch": decodes})
                steady = RUN
        self.reduce(context, energies)

    def reduce(self, prompt: int, energies: list[tuple[int, float, float]]) -> None:
        """Rows from the recorded calls of the scheduler: runs of one kind of step."""
        log, start = self.log, 0
        while start < len(log):
            end = start + 1
            kind = (log[start]["decodes"], log[start]["prompts"] > 0, log[start].get("profiled", 0))
            if kind[1]:
                while end < len(log) and log[end]["prompts"] > 0:
                    end += 1
                self.mixed(log[start : min(end + 1, len(log))], prompt)
            else:
                while end < len(log) and kind == (
                    log[end]["decodes"], log[end]["prompts"] > 0, log[end].get("profiled", 0)
                ):  # fmt: skip
                    end += 1
                self.decoded(start, end, energies)
            start = end

    def decoded(self, start: int, end: int, energies: list[tuple[int, float, float]]) -> None:
        """A run of decode steps of one batch."""
        first, last = start + SKIP_FIRST, end - 1 - SKIP_LAST
        log = self.log
        batch = log[start]["decodes"]
        if not batch or last - first < LEAST_STEPS or log[start].get("profiled"):
            return
        gaps = sorted(log[i + 1]["t"] - log[i]["t"] for i in range(first, last))
        mean = (log[last]["t"] - log[first]["t"]) / (last - first)
        keys = sum(log[i]["decode_keys"] for i in range(first, last)) / (last - first) / batch
        row = {"phase": "decode", "batch": batch, "context": round(keys, 1), "time_s": mean}
        row |= {"median_s": gaps[len(gaps) // 2], "p90_s": gaps[int(0.9 * len(gaps))]}
        row |= {"steps": last - first}
        inside = [e for e in energies if start < e[0] <= end]
        if len(inside) >= 2 and inside[-1][1] - inside[0][1] > ENERGY_S:
            seconds, joules = inside[-1][1] - inside[0][1], inside[-1][2] - inside[0][2]
            row |= {"power_w": joules / seconds, "energy_j": joules / seconds * mean}
        self.write(row)
        self.say(f"decode {batch} x {keys:.0f}: {mean * 1e3:.3f} ms")

    def mixed(self, steps: list[dict[str, Any]], prompt: int) -> None:
        """Windows of four steps that carry prompts beside decodes."""
        for at in range(2, len(steps) - 5, 4):
            part = steps[at : at + 4]
            mean = (steps[at + 4]["t"] - steps[at]["t"]) / 4
            row: dict[str, Any] = {"phase": "mixed", "prompt": prompt, "time_s": mean, "steps": 4}
            for name in ("decodes", "decode_keys", "prompts", "prompt_tokens", "prompt_keys"):
                row[name] = sum(step[name] for step in part) / 4
            self.write(row)

    def profile_steps(self, about: dict[str, Any], steps: int = PROFILED_STEPS) -> None:
        """GPU-busy seconds by kernel name over some steps, beside their wall time."""
        import torch
        from torch.profiler import ProfilerActivity, profile

        torch.cuda.synchronize()
        first = len(self.log)
        with profile(activities=[ProfilerActivity.CUDA]) as found:
            at = time.perf_counter()
            for _ in range(steps):
                self.engine.step()
            torch.cuda.synchronize()
            wall = time.perf_counter() - at
        for entry in self.log[first - 1 :]:
            entry["profiled"] = 1
        keys = self.log[-1]["decode_keys"] / max(1, self.log[-1]["decodes"])
        self.kernels(
            about | {"context": keys, "steps": steps, "wall_s": wall / steps}, found, steps
        )

    def profile_prefill(self, prompt: int) -> None:
        """The same of a prompt on an empty engine."""
        import torch
        from torch.profiler import ProfilerActivity, profile

        self.add(prompt, 1)
        with profile(activities=[ProfilerActivity.CUDA]) as found:
            at = time.perf_counter()
            self.drain()
            torch.cuda.synchronize()
            wall = time.perf_counter() - at
        self.kernels({"phase": "prefill", "batch": 1, "prompt": prompt, "wall_s": wall}, found, 1)

    def kernels(self, about: dict[str, Any], found: Any, steps: int) -> None:
        """One row a kernel name."""
        busy = 0.0
        for entry in found.key_averages():
            seconds = float(getattr(entry, "self_device_time_total", 0.0)) * 1e-6
            if seconds <= 0:
                continue
            busy += seconds / steps
            row = {"model": self.name, **about, "kernel": entry.key[:160]}
            row |= {"calls": entry.count / steps, "busy_s": seconds / steps}
            self.kernels_file.write(json.dumps(row) + "\n")
        self.kernels_file.flush()
        self.say(f"{about}: busy {busy * 1e3:.3f} ms of {about['wall_s'] * 1e3:.3f}")

    def count_experts(self) -> None:
        """Distinct experts that the routers of three layers choose for random tokens."""
        import torch

        model = self.core.model_executor.driver_worker.worker.model_runner.model
        top = int(self.config.get("num_experts_per_tok", 2))
        rows: list[dict[str, Any]] = []

        def routed(module: Any, _: Any, output: Any) -> None:
            logits = output[0] if isinstance(output, tuple) else output
            chosen = torch.topk(logits.float(), top, dim=-1).indices
            reached = int(torch.unique(chosen).numel())
            rows.append({"tokens": int(logits.shape[0]), "reached": reached})

        for name, module in model.named_modules():
            if name.endswith((".gate", ".router")):
                module.register_forward_hook(routed)
        for tokens in (1, 8, 32, 256, 2048):
            self.add(tokens, 2)
            self.drain()
        (self.options.out / f"{self.name}.experts.json").write_text(json.dumps(rows))
        self.say(f"experts reached: {rows}")


if __name__ == "__main__":
    main()
