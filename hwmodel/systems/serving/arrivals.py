"""Streams of requests: drawn from a rate, from clients that wait, or read from a trace.

    poisson     gaps between arrivals are exponential
    gamma       they have another coefficient of variation: above 1, bursts
    constant    they are equal
    a trace     lines or a table of arrivals and lengths: Azure's CSV (TIMESTAMP, ContextTokens,
                GeneratedTokens), Mooncake's JSONL (milliseconds, and names of 512 tokens each of
                the prompt), the answers of `vllm bench serve --save-detailed` (lengths, and
                start times where it tells them), and JSONL or CSV with columns of `COLUMNS`

Lengths that vary are gamma distributed, rounded, and 1 or more. All is drawn from one seed.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import CASES_BYTES, json_value, line_of, text_of
from hwmodel.systems.serving.requests import Request

ARRIVALS = ("poisson", "constant", "gamma")
"""How gaps between arrivals are drawn."""
REQUESTS = 1000
"""Of a stream that says neither how many nor how long."""
MOST_REQUESTS = 10**7
"""That a stream may have: they are kept one by one."""
HASHED = 512
"""Tokens that a name of a Mooncake trace stands for."""
COLUMNS: Mapping[str, Mapping[str, float]] = {
    "arrival": {"arrival_s": 1.0, "start_times": 1.0, "timestamp": 1e-3, "arrival_ms": 1e-3},
    "input": dict.fromkeys(
        ("input", "input_tokens", "input_length", "prompt_len", "input_lens", "ContextTokens"), 1.0
    ),
    "output": dict.fromkeys(
        (
            "output",
            "output_tokens",
            "output_length",
            "output_len",
            "output_lens",
            "GeneratedTokens",
        ),
        1.0,
    ),
}
"""What is read of a trace -> names that it may have, with what they are multiplied by."""

Length = int | Mapping[str, Any]
"""Tokens of every request, or their mean and coefficient of variation."""


def stream(
    input: Length,
    output: Length,
    *,
    rate_per_s: float | None = None,
    arrivals: str = "poisson",
    arrival_cv: float | None = None,
    requests: int | None = None,
    duration_s: float | None = None,
    prefix: int = 0,
    prompts: int | None = None,
    block: int = 16,
    seed: int = 0,
) -> list[Request]:
    """Requests at a rate; without one all are there at the start.

    `duration_s` says until when they come, `requests` how many at most. The same `prefix` tokens
    begin every prompt of so many, whole blocks of which are shared. With `prompts`, that many
    different prompts are asked in turn, each with the length of its first time.
    """
    draw = np.random.default_rng(seed)
    if rate_per_s is None:
        times = np.zeros(requests or REQUESTS)
    else:
        times = _times(draw, rate_per_s, arrivals, arrival_cv, requests, duration_s)
    inputs, outputs = (
        _lengths(draw, each, len(times), name)
        for each, name in ((input, "input"), (output, "output"))
    )
    if prompts is not None:
        inputs = np.resize(inputs[:prompts], len(inputs))
    span = prefix // block * block
    rows = zip(times.tolist(), inputs.tolist(), outputs.tolist(), strict=True)
    made = [Request(*each) for each in rows]
    if prompts is not None:
        named = [_named(n, r.input, prefix, block) for n, r in enumerate(made[:prompts])]
        return [replace(r, hashes=named[n % prompts], span=block) for n, r in enumerate(made)]
    if not span:
        return made
    return [replace(r, hashes=(0,), span=span) if r.input >= prefix else r for r in made]


def _named(number: int, tokens: int, prefix: int, block: int) -> tuple[int, ...]:
    """Names of a prompt's whole blocks: those of a prefix it begins with are everybody's."""
    shared = prefix // block if tokens >= prefix else 0
    own = (number + 1) << 32  # no prompt has as many blocks
    return tuple(at if at < shared else own + at for at in range(tokens // block))


def timed(
    requests: Sequence[Request],
    rate_per_s: float | None,
    *,
    arrivals: str = "poisson",
    arrival_cv: float | None = None,
    seed: int = 0,
) -> list[Request]:
    """The same requests, in order, at a rate; without one all are there at the start."""
    if rate_per_s is None:
        return [replace(each, arrival_s=0.0) for each in requests]
    draw = np.random.default_rng(seed)
    times = _times(draw, rate_per_s, arrivals, arrival_cv, len(requests), None)
    return [replace(r, arrival_s=float(t)) for r, t in zip(requests, times, strict=True)]


def _times(
    draw: np.random.Generator,
    rate_per_s: float,
    arrivals: str,
    cv: float | None,
    requests: int | None,
    duration_s: float | None,
) -> NDArray[np.float64]:
    """Instants of arrival."""
    if arrivals not in ARRIVALS:
        raise UnknownNameError("arrivals", arrivals, ARRIVALS)
    if (cv is not None) != (arrivals == "gamma"):
        raise InputError(
            f"serving: arrival_cv: expected with arrivals 'gamma', and only there, found"
            f" {shown(cv)} with {arrivals!r}"
        )
    _above("rate_per_s", rate_per_s)
    count = requests or REQUESTS
    if duration_s is not None:
        _above("duration_s", duration_s)
        mean = rate_per_s * duration_s
        if requests is None and mean > MOST_REQUESTS:
            raise InputError(
                f"serving: duration_s: expected at most {MOST_REQUESTS:,} requests, found"
                f" {mean:,.0f} at {shown(rate_per_s)} a second"
            )
        count = requests or math.ceil(mean + 10 * max(cv or 1, 1) * math.sqrt(mean) + 10)
    if arrivals == "constant":
        times = np.arange(count) / rate_per_s
    else:
        shape = 1.0 if cv is None else 1 / _above("arrival_cv", cv) ** 2
        times = np.cumsum(draw.gamma(shape, 1 / (shape * rate_per_s), count))
    if duration_s is not None:
        times = times[times < duration_s]
    return times


def _lengths(draw: np.random.Generator, given: Length, count: int, name: str) -> NDArray[Any]:
    """Tokens of each request."""
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        if given < 1:
            raise InputError(f"serving: {name}: expected 1 token or more, found {given}")
        return np.full(count, int(given))
    if not isinstance(given, Mapping) or set(given) != {"mean", "cv"}:
        raise InputError(
            f"serving: {name}: expected a whole number of tokens, or {{'mean': 500, 'cv': 0.5}},"
            f" found {shown(given)}"
        )
    mean, cv = _above(f"{name}: mean", given["mean"]), float(given["cv"])
    if cv == 0:
        return np.full(count, max(1, round(mean)))
    shape = 1 / _above(f"{name}: cv", cv) ** 2
    return np.maximum(1, np.rint(draw.gamma(shape, mean / shape, count))).astype(np.int64)


def _above(name: str, value: Any) -> float:
    """A number above 0."""
    if isinstance(value, (int, float)) and 0 < value < math.inf:
        return float(value)
    raise InputError(f"serving: {name}: expected a number above 0, found {shown(value)}")


def read(
    path: str | Path, *, requests: int | None = None, duration_s: float | None = None
) -> tuple[list[Request], bool]:
    """Requests of a trace, the first of which comes at 0, and whether it tells when they come."""
    text = text_of(path, most=CASES_BYTES)
    name = str(path)
    rows = _rows(text, name)
    if not rows:
        raise InputError(f"{name}: expected one request or more, found none")
    keys = {part: _column(part, rows[0], name) for part in ("arrival", "input", "output")}
    found: list[Request] = []
    for number, row in enumerate(rows):
        where = f"{name}: request {number}"
        sizes = [_number(row, keys[part], where) for part in ("input", "output")]
        arrival_s = 0.0 if keys["arrival"] is None else _number(row, keys["arrival"], where)
        hashes = cast(Sequence[Any], row.get("hash_ids") or ())
        whole = tuple(int(each) for each in hashes[: int(sizes[0]) // HASHED])
        asked = Request(float(arrival_s), int(sizes[0]), max(1, int(sizes[1])))
        found.append(replace(asked, hashes=whole, span=HASHED) if whole else asked)
    found.sort(key=lambda each: each.arrival_s)
    start_s = found[0].arrival_s
    found = [replace(each, arrival_s=each.arrival_s - start_s) for each in found[:requests]]
    if duration_s is not None:
        found = [each for each in found if each.arrival_s < duration_s]
    return found, keys["arrival"] is not None


def _rows(text: str, name: str) -> list[Mapping[str, Any]]:
    """A row for each request."""
    if name.endswith(".csv"):
        return list(csv.DictReader(io.StringIO(text)))
    if name.endswith(".jsonl"):
        lines = (line for line in text.split("\n") if line.strip())
        return [_table(json_value(line_of(line), where=name), name) for line in lines]
    whole = _table(json_value(text, where=name), name)
    columns = {
        key: cast(list[Any], value) for key, value in whole.items() if isinstance(value, list)
    }
    told = [key for part in COLUMNS.values() for key in part if key in columns]
    count = min((len(columns[key]) for key in told), default=0)
    return [{key: columns[key][place] for key in told} for place in range(count)]


def _table(value: Any, name: str) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return cast(Mapping[str, Any], value)
    raise InputError(f"{name}: expected tables of arrivals and lengths, found {shown(value)}")


def _column(part: str, row: Mapping[str, Any], name: str) -> tuple[str, float] | None:
    """Which name a trace has for it; arrivals may be missing."""
    if part == "arrival" and "TIMESTAMP" in row:
        return "TIMESTAMP", 1.0
    for key, times in COLUMNS[part].items():
        if key in row:
            return key, times
    if part == "arrival":
        return None
    known = ", ".join(COLUMNS[part])
    raise InputError(f"{name}: {part}: expected one of {known}, found {', '.join(row)}")


def _number(row: Mapping[str, Any], column: tuple[str, float] | None, where: str) -> float:
    assert column is not None
    key, times = column
    value = row.get(key)
    try:
        if key == "TIMESTAMP":  # Azure's has seven digits after the point
            return datetime.fromisoformat(str(value)[:26]).timestamp()
        return float(cast(Any, value)) * times
    except (TypeError, ValueError):
        raise InputError(f"{where}: {key}: expected a number, found {shown(value)}") from None
