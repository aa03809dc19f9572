"""Results of engines' own benchmarks: what was asked, and what it took.

    vllm bench serve --save-result [--save-detailed]       one JSON object a file
    python -m sglang.bench_serving --output-file [...]     a line of JSON for each run
    offline ones of both                                   `readers/offline.py`

Read are the fields that both write (vllm/benchmarks/serve.py and sglang/bench_serving.py, as of
2026): `completed`, `duration`, `request_rate`, `max_concurrency`, `total_input_tokens`,
`total_output_tokens`, throughputs, and means, medians and percentiles of TTFT, TPOT and end-to-end
latency in milliseconds; `burstiness` and `model_id` of vLLM, `server_info` of SGLang; the lengths
of each request (`input_lens`, `output_lens`, 0 of one that failed) where details were saved. Of a
run of which requests failed, the others are read. Seconds here are SI.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import printable
from hwmodel.quantity.reading import name_of, text_of
from hwmodel.validation.readers.offline import arguments_beside, offline_kind, positive

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
COMPLETED = 0.9
"""Of the requests of a run that is read; with fewer, the others are no stream of their own."""
TAILS = {"mean": "", "median": "_p50", "p50": "_p50", "p90": "_p90", "p95": "_p95", "p99": "_p99"}


@dataclass(frozen=True)
class Run:
    """One run of a benchmark: the stream that was asked, and figures of what was measured.

    `rate_per_s` is None where all requests came at once, `users` where none waited for another;
    `failed` requests came besides.
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
    failed: int = 0
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
        first = next(_objects(text, ""))
    except (InputError, StopIteration):
        return False
    return _is_served(first) or offline_kind(first) is not None


def runs_of(path: str | Path, told: Mapping[str, Any] | None = None) -> tuple[Run, ...]:
    """The runs in a file; `InputError` says what is missing.

    `told` is what an offline one's file may not say: `input` and `output` tokens, `requests`.
    """
    where = name_of(path)
    beside = arguments_beside(Path(path))
    beside["requests"] = beside.pop("batch", None)
    known = beside | {name: value for name, value in (told or {}).items() if value is not None}
    records = enumerate(_objects(text_of(path, most=FILE_BYTES), where), 1)
    found = tuple(_run(record, known, f"{where}, run {number}") for number, record in records)
    if not found:
        raise InputError(f"{where}: expected results of a benchmark, found none")
    return found


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


def _is_served(record: Mapping[str, Any]) -> bool:
    return "duration" in record and "total_output_tokens" in record and "completed" in record


def _few(record: Mapping[str, Any]) -> str:
    return f"fields {', '.join(list(record)[:6])}" if record else "no table"


def _run(record: Mapping[str, Any], known: Mapping[str, Any], where: str) -> Run:
    if _is_served(record):
        return _served(record, where)
    offline = offline_kind(record)
    if offline is None:
        said = "expected a result of a benchmark of vLLM or SGLang"
        raise InputError(f"{where}: {said}, found {_few(record)}")
    facts = offline(record, known, where)
    tp = 1 if known.get("tp") is None else int(positive(known, "tp", where))
    return Run(where=where, model=printable(str(known.get("model") or "")), tp=tp, **facts)


def _served(record: Mapping[str, Any], where: str) -> Run:
    requests = int(positive(record, "completed", where))
    asked = max(requests, int(positive({"num_prompts": requests, **record}, "num_prompts", where)))
    if requests < COMPLETED * asked:
        raise InputError(
            f"{where}: expected {COMPLETED:.0%} of its requests completed, found {requests} of"
            f" {asked}"
        )
    rate = record.get("request_rate", "inf")
    if rate == "trace":
        raise InputError(f"{where}: request_rate: arrivals of a trace are not in the file")
    settled = float("inf") if rate in ("inf", None) else positive(record, "request_rate", where)
    held: Any = record.get("server_info")
    server = cast(dict[str, Any], held) if isinstance(held, dict) else {}
    sglang = "total_output_tokens_retokenized" in record or "server_info" in record
    return Run(
        where=where,
        engine="sglang" if sglang else "vllm",
        model=printable(str(record.get("model_id") or server.get("model_path") or "")),
        requests=requests,
        inputs=_lengths(record, "input", requests, where),
        outputs=_lengths(record, "output", requests, where),
        rate_per_s=None if settled == float("inf") else settled,
        users=_said(record, "max_concurrency", where, int, None),
        burstiness=_said(record, "burstiness", where, float, 1.0),
        tp=_said(server, "tp_size", where, int, 1),
        failed=asked - requests,
        measured=dict(_figures(record)),
    )


Number = TypeVar("Number")


def _said(
    record: Mapping[str, Any],
    name: str,
    where: str,
    kind: Callable[[float], Number],
    otherwise: Number,
) -> Number:
    """A number above 0, where one is said."""
    return otherwise if record.get(name) is None else kind(positive(record, name, where))


def _lengths(
    record: Mapping[str, Any], kind: str, requests: int, where: str
) -> Mapping[str, float]:
    """Mean tokens of a request that completed, with their spread where each is told."""
    mean = positive(record, f"total_{kind}_tokens", where) / requests
    each, made = _list(record, f"{kind}_lens"), _list(record, "output_lens")
    if len(each) == len(made):
        each = [length for length, tokens in zip(each, made, strict=True) if tokens]
    if len(each) != requests or not all(isinstance(length, int) and length > 0 for length in each):
        return {"mean": mean}
    lengths = np.array(each, dtype=np.float64)
    return {"mean": mean, "cv": float(lengths.std() / lengths.mean())}


def _list(record: Mapping[str, Any], name: str) -> list[Any]:
    held: Any = record.get(name)
    return cast(list[Any], held) if isinstance(held, list) else []


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
