"""vLLM's own benchmarks as measured runs: files of `vllm bench latency` and `vllm bench serve`.

    vllm bench latency ... --output-json NAME.json       seconds of a batch, from prompts to tokens
    vllm bench serve ... --save-result                   a closed loop of users (request rate inf)

Read are the fields that vLLM writes (vllm/benchmarks/latency.py and serve.py, as of late 2025):
`avg_latency`; and `duration`, `completed`, `max_concurrency`, `num_prompts`, `request_rate`,
`total_input_tokens`, `total_output_tokens`, `model_id`. What a file does not say (of a latency all
but the seconds, of serving the devices) stands in the arguments beside it, NAME.pytorch.json, which
vLLM writes where SAVE_TO_PYTORCH_BENCHMARK_FORMAT is set, or in a line of `benchmarks.jsonl` in the
folder, which wins:

    {"file": "a.json", "model": "llama-3.1-8b", "batch": 8, "input": 1024, "output": 128, "tp": 1}

where `model` is the path of a config or a shipped name, with `quantise` as `hw.model` takes it. A
run of B users, N tokens in and M out is taken for a step that reads their prompts, and M - 1 steps
of decode at the mean context, as often as B goes into the requests.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.config import shipped_configs
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.validation.readers.offline import BESIDE, arguments_beside
from hwmodel.validation.rows import Row

LINES = "benchmarks.jsonl"
FIELDS = ("file", "model", "quantise", "batch", "input", "output", "tp", "rounds")
"""Fields of a line; `rounds` is how often the batch was run in the time that the file says."""

SUFFIXES = ("-instruct", "-chat", "-base", "-hf", "-it")
"""Ends of a model's name that change none of its sizes."""


@dataclass(frozen=True)
class Benchmark:
    """`rounds` of a batch of `batch` requests, each `prompt` tokens in and `outputs` out."""

    file: str
    name: str
    batch: int
    prompt: int
    outputs: int
    time_s: float
    tp: int = 1
    rounds: float = 1
    quantise: str | None = None

    @property
    def config(self) -> Model:
        """The model: `name` is the path of its config, or a shipped one's."""
        return model(self.name, quantise=self.quantise)

    @property
    def phase(self) -> str:
        """Which kind of step takes most of it."""
        return "decode" if self.outputs > 1 else "prefill"

    def workloads(self) -> tuple[tuple[Stack, float], ...]:
        """Steps, and how often each runs."""
        reads = self.config.prefill(self.batch, self.prompt), self.rounds
        if self.outputs == 1:
            return (reads,)
        middle = self.prompt + self.outputs // 2
        return (reads, (self.config.decode(self.batch, middle), self.rounds * (self.outputs - 1)))

    def row(self) -> Row:
        """The run as a row that a fit reads."""
        columns = {
            **{"family": "step", "kernel": "vllm", "dtype": "bf16", "model": self.config.name},
            **{"phase": self.phase, "batch": self.batch, "prompt": self.prompt},
            **{"context": self.prompt + self.outputs, "time_s": self.time_s},
        }
        return Row("own", "own", columns)


def read_benchmarks(paths: Sequence[str | Path]) -> tuple[Benchmark, ...]:
    """The runs that files, or those of folders, hold; each file once.

    Raises `InputError` for a file that is no such benchmark, or does not say all that it needs.
    """
    files: dict[Path, Mapping[str, Any]] = {}
    for given in map(Path, paths):
        folder = given if given.is_dir() else given.parent
        said = _lines(folder / LINES)
        found = sorted(folder.glob("*.json")) if given.is_dir() else [given]
        for path in found:
            if not path.name.endswith(BESIDE):
                files[path.resolve()] = said.get(path.name, {})
    if not files:
        named = ", ".join(map(str, paths))
        raise InputError(f"benchmarks: expected files of vllm bench, found none in {named}")
    return tuple(_benchmark(path, said) for path, said in files.items())


KEPT = "engine-benchmarks.jsonl"


def keep(folder: Path, found: Sequence[Benchmark]) -> tuple[Benchmark, ...]:
    """Runs beside those that a folder of a calibration keeps, the later of a file; all of them."""
    path = folder / KEPT
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    before = (Benchmark(**json.loads(line)) for line in text.splitlines())
    every = {each.file: each for each in (*before, *found)}
    if found:
        part = path.with_suffix(".part")
        part.write_text("".join(f"{json.dumps(asdict(each))}\n" for each in every.values()))
        part.rename(path)
    return tuple(every.values())


def _lines(path: Path) -> dict[str, dict[str, Any]]:
    """What a folder's lines say of its files, by name."""
    if not path.is_file():
        return {}
    found: dict[str, dict[str, Any]] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if text.strip():
            line = _object(text, f"{path}, line {number}")
            for name in line:
                if name not in FIELDS:
                    known = ", ".join(FIELDS)
                    raise InputError(f"{path}, line {number}: unknown field {name!r}; {known}")
            found[str(line.get("file"))] = line
    return found


def _benchmark(path: Path, said: Mapping[str, Any]) -> Benchmark:
    record = _object(path.read_text(encoding="utf-8"), str(path))
    if "avg_latency" in record:
        known, time_s = arguments_beside(path), record["avg_latency"]
    elif "total_output_tokens" in record and "duration" in record:
        known, time_s = _served(record, path), record["duration"]
    else:
        raise InputError(
            f"{path}: expected what vllm bench latency --output-json or vllm bench serve"
            f" --save-result writes, found fields {', '.join(list(record)[:6]) or 'none'}"
        )
    known: dict[str, Any] = {"tp": 1, "rounds": 1, **known, **said}
    missing = [name for name in ("model", "batch", "input", "output") if known.get(name) is None]
    if missing:
        raise InputError(
            f"{path}: expected {', '.join(missing)} in a line of {LINES} beside it, such as"
            f' {{"file": "{path.name}", "model": "llama-3.1-8b", "batch": 8, "input": 1024,'
            f' "output": 128}}; found none, nor {path.stem}{BESIDE}'
        )
    return Benchmark(
        file=path.name,
        name=config_named(str(known["model"]), path),
        quantise=known.get("quantise"),
        batch=_count(known, "batch", path),
        prompt=_count(known, "input", path),
        outputs=_count(known, "output", path),
        time_s=float(time_s),
        tp=_count(known, "tp", path),
        rounds=float(known["rounds"]),
    )


def _served(record: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Sizes of a closed loop, the mean of its requests; in rounds of as many as there are users."""
    if str(record.get("request_rate")) != "inf":
        rate = shown(record.get("request_rate"))
        raise InputError(f"{path}: expected request_rate inf, a closed loop, found {rate}")
    requests = record["completed"]
    if not requests or requests != record.get("num_prompts", requests):
        raise InputError(f"{path}: expected all requests completed, found {requests} of them")
    users = record.get("max_concurrency") or requests
    return {
        "model": record.get("model_id"),
        "batch": min(users, requests),
        "input": round(record["total_input_tokens"] / requests),
        "output": round(record["total_output_tokens"] / requests),
        "rounds": requests / min(users, requests),
    }


def config_named(name: str, path: Path, told: str = f"a line of {LINES} beside it") -> str:
    """A path of a config, or the shipped name that a checkpoint's name means.

    `told` is where else one can be named, for the error.
    """
    if Path(name).exists():
        return str(Path(name).resolve())
    short = name.rsplit("/", 1)[-1].lower()
    for end in ("", *SUFFIXES):
        known = short.removesuffix(end).removeprefix("meta-")
        if known in shipped_configs():
            return known
    raise InputError(
        f"{path}: model: expected the path of a config or a shipped name, found {shown(name)}; name"
        f" one in {told}"
    )


def _count(known: Mapping[str, Any], name: str, path: Path) -> int:
    value = known[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{path}: {name}: expected a positive integer, found {shown(value)}")
    return value


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{where}: expected a JSON object, found {text[:40]!r}")
    return cast(dict[str, Any], found)
