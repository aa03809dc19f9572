"""Step times of a real vLLM on this GPU, with random weights: steps and streams.

    python -m hwmodel.validation.measure.vllm_engine --model llama-3.1-8b --out DIR
        [--quantization fp8] [--cache-dtype fp8] [--tensor-parallel 2] [--layers 24] [--seconds 200]

Writes DIR/header.json, and rows as they come to DIR/NAME.steps.jsonl (groups of steps of one kind),
DIR/NAME.kernels.jsonl (GPU-busy seconds by kernel name), DIR/NAME.requests.jsonl (requests of long
streams) and DIR/NAME.engine.json (what the engine
decided: blocks of the cache, sizes of graphs). The engine runs in this process; with tensor
parallelism its workers run in processes of their own.

How a step is timed. The engine schedules asynchronously: it schedules step k+1 before it waits for
step k, so that one call of `engine.step()` says little, but the times between calls of its
scheduler are in the mean those between steps. Each call is recorded with what it scheduled.
- *Decode*: requests of one context are admitted together, with output lengths such that the batch
  falls to a half, and again, after a hundred steps each: one prefill serves all batch sizes. A
  run of steps of one batch is a row; its first and last steps are left out.
- *Prefill*: one prompt (or several) on an empty engine, one output token, from the request to its
  end: the median of some.
- *Mixed*: the steps that fill the engine for a decode run, chunks of prompts beside decodes; and
  steps that each carry one whole prompt beside a batch of decodes.
- *Held*: decode steps of one batch for seconds on end, the sustained state, with joules.
- *Stream*: a closed loop of users, each with a next request once its last is answered; with
  `--streams S` nothing but long streams, Poisson's among them, with a record a request.
- *Busy*: a few steps of some batches run under torch's profiler (CUPTI); those are no timed rows.
- *Joules*: the boards' counters over a run of steps, where it lasts half a second.

vLLM 0.22 (V1 engine). Token ids and weights are random. vLLM's own random weights send all tokens
of some models to the same experts, so routers are given larger ones (`spread_routers`); `--experts`
counts the experts that are reached, in eager mode, three layers.
"""

# pyright: basic, reportMissingImports=false

import argparse
import importlib
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hwmodel.validation.measure.engine_rows import SKIP_FIRST, drawn, rows_of
from hwmodel.validation.measure.vllm_start import MOST_TOKENS, start
from hwmodel.validation.measure.vllm_streams import LONG, Stream, closed, serve

CONFIGS = Path(__file__).resolve().parents[2] / "einsum" / "workloads" / "configs"
RUN = 100
"""Decode steps of one batch size."""
SERIES = ((512, 256), (2048, 128), (8192, 24), (1200, 96))
"""(prompt tokens, most requests) of the decode series, the more telling first."""
PROMPTS = ((1, 128), (1, 512), (1, 777), (1, 2048), (1, 4096), (1, 8192), (1, 16384), (4, 1024),
           (16, 256), (3, 2500))  # fmt: skip
LOADED = ((32, 512), (16, 1024), (64, 512), (64, 2048))
"""(decodes, tokens of the prompt that each step carries beside them)."""
LOADED_CONTEXT, LOADED_STEPS = 1024, 20
HELD = ((64, 2048), (8, 1024), (128, 1024))
"""(batch, context) of decode steps that are held for `HELD_S` seconds."""
HELD_S = 2.0
STREAMS = (closed(16, 512, 64, 64), closed(64, 1024, 128, 192))
"""Closed loops beside the steps."""
PROFILED = (1, 8, 64, 128, 256)
PROFILED_STEPS = 6
PROFILED_PROMPTS = (2048, 512, 8192)
EXPERT_LAYERS = 3


def main() -> None:
    """Parses the command line and measures one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", required=True, help="a shipped config, or a path to a config.json"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quantization", default=None)
    parser.add_argument(
        "--cache-dtype", default="auto", choices=("auto", "fp8"), help="of keys and values"
    )
    parser.add_argument("--tensor-parallel", type=int, default=1)
    parser.add_argument("--layers", type=int, default=None, help="fewer layers than the config's")
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--streams", type=float, metavar="S", help="long streams of requests, S seconds each"
    )
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
            + (".kv-fp8" if options.cache_dtype == "fp8" else "")
            + (f".tp{options.tensor_parallel}" if options.tensor_parallel > 1 else "")
            + (f".{options.layers}layers" if options.layers else "")
        )
        self.random = random.Random(options.seed)
        path = Path(options.model)
        self.config = json.loads((path if path.is_file() else CONFIGS / f"{path}.json").read_text())
        if options.layers:
            self.config["num_hidden_layers"] = options.layers
        self.requests = 0
        self.step_s: dict[int, float] = {}
        self.log: list[dict[str, Any]] = []
        self.steps_file = (options.out / f"{self.name}.steps.jsonl").open("w")
        self.kernels_file = (options.out / f"{self.name}.kernels.jsonl").open("w")
        self.requests_file = (options.out / f"{self.name}.requests.jsonl").open("w")

    def close(self) -> None:
        """Closes the files of rows."""
        self.steps_file.close()
        self.kernels_file.close()
        self.requests_file.close()

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"{self.name} {time.perf_counter() - self.begin:7.1f} s  {text}", flush=True)

    def all(self) -> None:
        """The engine, then series of steps while there is time."""
        options = self.options
        self.engine = self.start()
        routers = self.engine.collective_rpc("spread_routers")[0]
        self.say(f"{routers} routers with weights of their own")
        if options.experts:
            return self.count_experts()
        until = self.begin + options.seconds
        self.warm()
        self.write_header()
        for point in self.points():
            if time.perf_counter() > until:
                self.say("out of time")
                break
            point()
        self.say("done")

    def points(self) -> Iterator[Callable[[], None]]:
        """What is measured, the more telling first."""
        if self.options.streams:
            yield from (partial(self.stream, case, self.options.streams) for case in LONG)
            return
        for batch, prompt in PROMPTS:
            if prompt * batch <= self.capacity:
                yield partial(self.prefill, batch, prompt)
        for at, (context, most) in enumerate(SERIES):
            most = min(most, self.capacity // (context + 12 * RUN))
            yield partial(self.decode_series, context, halves(most), RUN)
            if at == 0:
                yield from (partial(self.profile_prefill, p) for p in PROFILED_PROMPTS)
            if at == 1:
                yield from (partial(self.loaded, *case) for case in LOADED)
                yield from (partial(self.held, *case) for case in HELD)
                yield from (partial(self.stream, case) for case in STREAMS)

    def start(self) -> Any:
        """The engine, with its scheduler's calls recorded."""
        options = self.options
        started = start(
            self.config,
            quantization=options.quantization,
            cache_dtype=options.cache_dtype,
            tensor_parallel=options.tensor_parallel,
            seed=options.seed,
            eager_layers=EXPERT_LAYERS if options.experts else None,
        )
        self.started, self.core = started, started.core
        self.longest, self.capacity = started.longest, started.cache_tokens()
        schedule = self.core.scheduler.schedule

        def recorded(*arguments: Any, **named: Any) -> Any:
            at = time.perf_counter()
            out = schedule(*arguments, **named)
            self.log.append({"t": at} | self.scheduled(out))
            return out

        self.core.scheduler.schedule = recorded
        self.say(f"engine ready, {self.capacity} tokens of cache")
        return started.engine

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
        """Engine, libraries and boards."""
        from hwmodel.validation.measure.board import board_name, describe, open_board

        self.boards = [open_board(i) for i in range(self.options.tensor_parallel)]
        versions = {
            name: getattr(importlib.import_module(name), "__version__", "")
            for name in ("vllm", "torch", "triton", "transformers")
        }
        header = describe(self.boards[0]) | {"versions": versions}
        header["board"] = "-".join(board_name(board) for board in self.boards)
        (self.options.out / "header.json").write_text(json.dumps(header, indent=1, default=str))
        found = {"model": self.name, **self.started.facts()}
        found["ready_s"] = time.perf_counter() - self.begin
        path = self.options.out / f"{self.name}.engine.json"
        path.write_text(json.dumps(found, indent=1))

    def energy_j(self) -> float:
        """Joules of all boards so far."""
        return sum(board.energy_j() for board in self.boards)

    def tokens(self, count: int) -> list[int]:
        """Random tokens."""
        vocabulary = int(self.config.get("vocab_size", 32000))
        return [self.random.randrange(10, vocabulary - 10) for _ in range(count)]

    def add(self, tokens: int, outputs: int) -> str:
        """A request of random tokens; answers its name."""
        return self.ask(self.tokens(tokens), outputs)

    def ask(self, ids: list[int], outputs: int) -> str:
        """A request of these tokens; answers its name."""
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt

        self.requests += 1
        name = f"r{self.requests}"
        self.engine.add_request(
            name,
            TokensPrompt(prompt_token_ids=ids),
            SamplingParams(max_tokens=outputs, ignore_eos=True, detokenize=False),
        )
        return name

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
        if row["phase"] == "decode":
            self.step_s[row["batch"]] = row["time_s"]
        self.say(" ".join(f"{k}={v:.5g}" if isinstance(v, float) else str(v)
                          for k, v in row.items() if k not in ("median_s", "p90_s")))  # fmt: skip

    def prefill(self, batch: int, prompt: int, repeats: int = 5) -> None:
        """Prompts on an empty engine: seconds from the request to its token."""
        prompt = min(prompt, self.longest - 8)
        times: list[float] = []
        joules = 0.0
        for repeat in range(repeats + 1):
            for _ in range(batch):
                self.add(prompt, 1)
            if repeat == 1:
                joules = -self.energy_j()
            at = time.perf_counter()
            self.drain()
            times.append(time.perf_counter() - at)
        joules += self.energy_j()
        times = times[1:]
        middle = statistics.median(times)
        self.write(
            {"phase": "prefill", "batch": batch, "prompt": prompt}
            | {"time_s": middle, "low_s": min(times), "high_s": max(times)}
            | {"repeats": repeats}
            | drawn(sum(times), joules, middle)
        )

    def decode_series(
        self, context: int, batches: Sequence[int], run: int, *, traced: bool = True
    ) -> None:
        """Requests of one context whose number falls to the next batch after each run of steps."""
        if not batches:
            return
        most = batches[0]
        fill = most * context // MOST_TOKENS + 1
        lives = {b: run * (i + 1) for i, b in enumerate(batches)}  # steps until fewer than b run
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
            if decodes > 0 and steady in (SKIP_FIRST, run - 24):
                energies.append((len(self.log), time.perf_counter(), self.energy_j()))
            if traced and decodes in PROFILED and steady == run - 18 and decodes not in profiled:
                profiled.add(decodes)
                self.profile_steps({"phase": "decode", "batch": decodes})
                steady = run
        for row in rows_of(self.log, context, energies):
            self.write(row)

    def loaded(self, decodes: int, prompt: int) -> None:
        """Steps that each carry one whole prompt beside `decodes` decodes."""
        if decodes * (LOADED_CONTEXT + 100) > self.capacity:
            return
        self.log.clear()
        for _ in range(decodes):
            self.add(LOADED_CONTEXT, decodes * LOADED_CONTEXT // MOST_TOKENS + LOADED_STEPS + 16)
        while self.engine.has_unfinished_requests():
            self.engine.step()
            if self.log and self.log[-1]["decodes"] == decodes:
                break
        self.log.clear()
        for _ in range(LOADED_STEPS):
            self.add(prompt, 1)
            self.engine.step()
        self.drain()
        for row in rows_of(self.log, prompt, window=LOADED_STEPS - 4):
            if row["phase"] == "mixed":
                self.write(row)

    def held(self, batch: int, context: int) -> None:
        """Decode steps of one batch for `HELD_S` seconds."""
        if batch * (context + 10 * RUN) > self.capacity or not self.step_s:
            return
        nearest = min(self.step_s, key=lambda b: abs(b - batch))
        run = max(RUN, min(10 * RUN, int(HELD_S / self.step_s[nearest])))
        self.decode_series(context, [batch], run, traced=False)

    def stream(self, stream: Stream, seconds: float = 1e9) -> None:
        """A stream of requests; long ones leave a record a request."""
        for record in serve(self, stream, seconds=seconds):
            if stream in LONG:
                self.requests_file.write(json.dumps({"model": self.name, **record}) + "\n")
        self.requests_file.flush()

    def profile_steps(self, about: dict[str, Any], steps: int = PROFILED_STEPS) -> None:
        """GPU-busy seconds by kernel name over some steps, beside their wall time."""
        first = len(self.log)
        wall, found = self.traced(lambda: [self.engine.step() for _ in range(steps)])
        for entry in self.log[first - 1 :]:
            entry["profiled"] = 1
        keys = self.log[-1]["decode_keys"] / max(1, self.log[-1]["decodes"])
        about = about | {"context": keys, "steps": steps, "wall_s": wall / steps}
        self.kernels(about, found, steps)

    def profile_prefill(self, prompt: int) -> None:
        """The same of a prompt on an empty engine."""
        prompt = min(prompt, self.longest - 8)
        self.add(prompt, 1)
        wall, found = self.traced(self.drain)
        self.kernels({"phase": "prefill", "batch": 1, "prompt": prompt, "wall_s": wall}, found, 1)

    def traced(self, work: Callable[[], Any]) -> tuple[float, list[tuple[str, int, float]]]:
        """Wall seconds of some work until the GPUs are idle, and the first GPU's kernels in it."""
        self.engine.collective_rpc("trace_begin")
        at = time.perf_counter()
        work()
        self.engine.collective_rpc("wait_for_gpu")
        wall = time.perf_counter() - at
        return wall, self.engine.collective_rpc("trace_end")[0]

    def kernels(
        self, about: dict[str, Any], found: list[tuple[str, int, float]], steps: int
    ) -> None:
        """One row a kernel name."""
        busy = 0.0
        for name, calls, seconds in found:
            busy += seconds / steps
            row = {"model": self.name, **about, "kernel": name[:160]}
            row |= {"calls": calls / steps, "busy_s": seconds / steps}
            self.kernels_file.write(json.dumps(row) + "\n")
        self.kernels_file.flush()
        self.say(f"{about}: busy {busy * 1e3:.3f} ms of {about['wall_s'] * 1e3:.3f}")

    def count_experts(self) -> None:
        """Distinct experts that routers choose for random tokens, of prompts and of decodes."""
        routers = self.engine.collective_rpc("routes_begin")[0]
        rows: list[dict[str, Any]] = []
        for batch, prompt in (*((1, n) for n in (8, 32, 128, 512, 2048)),
                              *((n, 64) for n in (1, 8, 32, 64, 128, 256))):  # fmt: skip
            for _ in range(batch):
                self.add(prompt, 8 if prompt == 64 else 1)
            self.drain()
            tokens = batch if prompt == 64 else prompt
            taken = self.engine.collective_rpc("routes_taken")[0]
            reached = [experts for routed, experts in taken if routed == tokens]
            if reached:
                row = {"phase": "decode" if prompt == 64 else "prefill", "tokens": tokens}
                row |= {"mean": statistics.fmean(reached), "least": min(reached)}
                rows.append(row | {"most": max(reached), "layers": len(reached)})
        self.say(f"{routers} routers, experts reached: {rows}")
        path = self.options.out / f"{self.name}.experts.json"
        path.write_text(json.dumps(rows))


def halves(most: int) -> list[int]:
    """A number, and its halves down to one."""
    return [most >> i for i in range(most.bit_length())]


if __name__ == "__main__":
    main()
