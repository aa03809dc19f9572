"""Results of engines' own serving benchmarks: what was asked, and what it took.

    vllm bench serve --save-result [--save-detailed]       one JSON object a file
    python -m sglang.bench_serving --output-file [...]     a line of JSON for each run

Read are the fields that both write (vllm/benchmarks/serve.py and sglang/bench_serving.py, as of
2026): `completed`, `duration`, `request_rate`, `max_concurrency`, `total_input_tokens`,
`total_output_tokens`, throughputs, and means, medians and percentiles of TTFT, TPOT and end-to-end
latency in milliseconds; `burstiness` and `model_id` of vLLM, `server_info` of SGLang; the lengths
of each request (`input_lens`, `output_lens`) where details were saved. Seconds here are SI.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import printable, shown
from hwmodel.quantity.reading import name_of, text_of

FILE_BYTES = 2**28
"""Of a file of results; one request's details are some kB."""

THROUGHPUTS = {
    "request_throughput": "requests_per_s",
    "output_throughput": "output_tokens_per_s",
    "total_token_throughput": "total_tokens_per_s",
    "total_throughput": "total_tokens_per_s",
}
"""Field -> figure of a served stream."""
WAITS = {"ttft": "ttft", "tpot": "tpot", "e2el": "latency", "e2e_latency": "latency"}
"""What a time is called there -> here."""
TAILS = {"mean": "", "median": "_p50", "p50": "_p50", "p90": "_p90", "p95": "_p95", "p99": "_p99"}


@dataclass(frozen=True)
class Run:
    """One run of a benchmark: the stream that was asked, and figures of what was measured.

    `rate_per_s` is None where all requests came at once, `users` where none waited for another.
    Figures are named as those of a served stream are (`ttft_s`, `ttft_p99_s`, ...).
    """

    where: str
    engine: str
    model: str
    requests: int
    inputs: Mapping[str, float]
    outputs: Mapping[str, float]
    rate_per_s: float | None = None
    users: int | None = None
    burstiness: float = 1.0
    tp: int = 1
    measured: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)

    @property
    def asked(self) -> dict[str, Any]:
        """The stream as the arguments of a workload `serving`, but for the config."""
        told: dict[str, Any] = {"requests": self.requests, "tp": self.tp}
        for name, lengths in (("input", self.inputs), ("output", self.outputs)):
            told[name] = dict(lengths) if lengths.get("cv") else round(lengths["mean"])
        if self.users is not None and self.rate_per_s is None:
            return told | {"concurrency": min(self.users, self.requests)}
        told["rate_per_s"] = AT_ONCE if self.rate_per_s is None else self.rate_per_s
        if self.burstiness != 1.0:
            told |= {"arrivals": "gamma", "arrival_cv": self.burstiness**-0.5}
        return told


AT_ONCE = 1e6
"""Requests a second that all come before the first is served."""


def is_benchmark(text: str) -> bool:
    """Whether a file holds such results; a trace, which may be large, is not read for it."""
    if text.lstrip()[:1] != "{" or '"traceEvents"' in text:
        return False
    try:
        return _is_result(next(_objects(text, "")))
    except (InputError, StopIteration):
        return False


def runs_of(path: str | Path) -> tuple[Run, ...]:
    """The runs in a file; `InputError` says what is missing."""
    where = name_of(path)
    found: list[Run] = []
    for number, record in enumerate(_objects(text_of(path, most=FILE_BYTES), where), 1):
        told = f"{where}, run {number}"
        if not _is_result(record):
            said = "expected a result of a serving benchmark"
            raise InputError(f"{told}: {said}, found {_few(record)}")
        found.append(_run(record, told))
    if not found:
        raise InputError(f"{where}: expected results of a serving benchmark, found none")
    return tuple(found)


def _objects(text: str, where: str) -> Iterator[dict[str, Any]]:
    """One object, or one a line."""
    try:
        whole: Any = json.loads(text)
        yield cast(dict[str, Any], whole) if isinstance(whole, dict) else {}
        return
    except (ValueError, RecursionError):
        lines = [line for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            held: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}, line {number}: no valid JSON: {error}") from None
        yield cast(dict[str, Any], held) if isinstance(held, dict) else {}


def _is_result(record: Mapping[str, Any]) -> bool:
    return "duration" in record and "total_output_tokens" in record and "completed" in record


def _few(record: Mapping[str, Any]) -> str:
    return f"fields {', '.join(list(record)[:6])}" if record else "no table"


def _run(record: Mapping[str, Any], where: str) -> Run:
    requests = int(_number(record, "completed", where))
    asked = record.get("num_prompts", requests)
    if requests < 1 or requests != asked:
        raise InputError(f"{where}: expected all requests completed, found {requests} of {asked}")
    rate = record.get("request_rate", "inf")
    if rate == "trace":
        raise InputError(f"{where}: request_rate: arrivals of a trace are not in the file")
    settled = float("inf") if rate in ("inf", None) else _number(record, "request_rate", where)
    server = cast(dict[str, Any], record.get("server_info") or {})
    sglang = "total_output_tokens_retokenized" in record or "server_info" in record
    users = record.get("max_concurrency")
    model = record.get("model_id") or server.get("model_path") or ""
    return Run(
        where=where,
        engine="sglang" if sglang else "vllm",
        model=printable(str(model)),
        requests=requests,
        inputs=_lengths(record, "input", requests, where),
        outputs=_lengths(record, "output", requests, where),
        rate_per_s=None if settled == float("inf") else settled,
        users=None if users is None else int(users),
        burstiness=float(record.get("burstiness") or 1.0),
        tp=int(server.get("tp_size") or 1),
        measured=dict(_figures(record)),
    )


def _number(record: Mapping[str, Any], name: str, where: str) -> float:
    value: Any = record.get(name)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise InputError(f"{where}: {name}: expected a number above 0, found {shown(value)}")
    return number


def _lengths(
    record: Mapping[str, Any], kind: str, requests: int, where: str
) -> Mapping[str, float]:
    """Mean tokens of a request, with their spread where each is told."""
    mean = _number(record, f"total_{kind}_tokens", where) / requests
    each: Any = record.get(f"{kind}_lens")
    if not isinstance(each, list) or len(cast(list[Any], each)) != requests:
        return {"mean": mean}
    lengths = np.array(each, dtype=np.float64)
    return {"mean": mean, "cv": float(lengths.std() / lengths.mean())}


def _figures(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """What was measured, in seconds and by the second."""
    for name, figure in THROUGHPUTS.items():
        if isinstance(record.get(name), (int, float)):
            yield figure, float(record[name])
    for called, wait in WAITS.items():
        for prefix, tail in TAILS.items():
            value: Any = record.get(f"{prefix}_{called}_ms")
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
                yield f"{wait}{tail}_s", float(value) * 1e-3
