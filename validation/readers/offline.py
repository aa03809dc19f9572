"""Results of engines' offline benchmarks: requests that are all there at once.

    vllm bench throughput --output-json NAME.json                       one JSON object
    vllm bench latency --output-json NAME.json                          one JSON object
    python -m sglang.bench_offline_throughput --result-filename NAME    a line of JSON for each run

Read are the fields that these write (vllm/benchmarks/throughput.py and latency.py,
sglang/bench_offline_throughput.py, as of 2026): `num_requests`, `total_num_tokens` (prompts and
answers together) and both rates by the second; `avg_latency`, the seconds until the last of a batch
is done; `successful_requests`, `total_input_tokens`, `total_output_tokens` and throughputs. What a
file does not say (tokens of a prompt; of a latency the answer's too, and how many requests; the
model) is told, or stands in NAME.pytorch.json beside it, which vLLM writes where
SAVE_TO_PYTORCH_BENCHMARK_FORMAT is set. Seconds here are SI.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown

Record: TypeAlias = Mapping[str, Any]
Facts: TypeAlias = dict[str, Any]
"""Fields of a `Run` by name."""

BESIDE = ".pytorch.json"
ARGUMENTS = {
    **{"model": "model", "batch": "batch_size", "input": "input_len", "output": "output_len"},
    "tp": "tensor_parallel_size",
}
"""Name here -> argument of `vllm bench latency` and `throughput`."""


def arguments_beside(path: Path) -> dict[str, Any]:
    """The arguments of a run by the names of `ARGUMENTS`, where vLLM wrote them beside it."""
    beside = path.with_name(path.stem + BESIDE)
    if not beside.is_file():
        return {}
    try:
        given: Record = json.loads(beside.read_text(encoding="utf-8"))[0]["benchmark"]
        arguments = given["extra_info"]["args"]
        return {name: arguments.get(own) for name, own in ARGUMENTS.items()}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{beside}: expected records of vLLM's benchmark, found none") from error


def positive(record: Record, name: str, where: str) -> float:
    """A number above 0, or an `InputError` that names it."""
    value: Any = record.get(name)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise InputError(f"{where}: {name}: expected a number above 0, found {shown(value)}")
    return number


def offline_kind(record: Record) -> "Callable[[Record, Record, str], Facts] | None":
    """What reads a record, by the fields that mark it; None for another."""
    for marks, reader in KINDS.items():
        if all(name in record for name in marks):
            return reader
    return None


def _throughput(record: Record, known: Record, where: str) -> Facts:
    """`vllm bench throughput`: of the tokens only the sum of both kinds is said."""
    requests = int(positive(record, "num_requests", where))
    each = positive(record, "total_num_tokens", where) / requests
    if known.get("input") is not None:
        prompt = positive(known, "input", where)
    elif known.get("output") is not None:
        prompt = each - positive(known, "output", where)
    else:
        raise InputError(
            f"{where}: expected --input, the tokens of a prompt: the file says of both kinds"
            f" together that a request has {each:,.6g}"
        )
    if not 1 <= prompt <= each - 1:
        told = f"expected a prompt of 1 to {each - 1:,.6g} tokens, as a request has {each:,.6g}"
        raise InputError(f"{where}: {told}, found {prompt:,.6g}")
    names = {"requests_per_second": "requests_per_s", "tokens_per_second": "total_tokens_per_s"}
    return {
        **{"engine": "vllm", "requests": requests},
        **{"inputs": {"mean": prompt}, "outputs": {"mean": each - prompt}},
        "measured": {figure: positive(record, name, where) for name, figure in names.items()},
    }


def _latency(record: Record, known: Record, where: str) -> Facts:
    """`vllm bench latency`: the last of a batch is done, which is the batch's 99th percentile."""
    missing = [name for name in ("input", "output", "requests") if known.get(name) is None]
    if missing:
        named = ", ".join(f"--{name}" for name in missing)
        raise InputError(f"{where}: expected {named}, of which a latency's file says nothing")
    return {
        **{"engine": "vllm", "requests": int(positive(known, "requests", where))},
        "inputs": {"mean": positive(known, "input", where)},
        "outputs": {"mean": positive(known, "output", where)},
        "measured": {"latency_p99_s": positive(record, "avg_latency", where)},
    }


def _sglang(record: Record, known: Record, where: str) -> Facts:
    """`sglang.bench_offline_throughput`."""
    requests = int(positive(record, "successful_requests", where))
    names = {
        **{"request_throughput": "requests_per_s", "output_throughput": "output_tokens_per_s"},
        "total_throughput": "total_tokens_per_s",
    }
    return {
        **{"engine": "sglang", "requests": requests},
        "inputs": {"mean": positive(record, "total_input_tokens", where) / requests},
        "outputs": {"mean": positive(record, "total_output_tokens", where) / requests},
        "measured": {figure: positive(record, name, where) for name, figure in names.items()},
    }


KINDS: Mapping[tuple[str, ...], Callable[[Record, Record, str], Facts]] = {
    ("num_requests", "total_num_tokens", "tokens_per_second"): _throughput,
    ("avg_latency", "latencies"): _latency,
    ("successful_requests", "total_latency", "total_output_tokens"): _sglang,
}
"""Fields that mark a record -> what reads it, with what else is known of the run."""
