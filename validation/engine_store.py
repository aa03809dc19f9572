"""The store of an engine's measured steps: from what `measure.vllm_engine` wrote to a sitting.

A run folder holds `header.json` and, for each model, `NAME.steps.jsonl`, `NAME.kernels.jsonl`,
`NAME.engine.json`, and maybe `NAME.experts.json` and `NAME.requests.jsonl`. They become
`engine.csv`, `engine_kernels.csv`, `engine_experts.csv` and `engine_requests.csv` of
`validation/data/<device>/<sitting>/`, with six significant digits, and a `header.json` with what
each engine decided. `validation/data/README.md` says what the columns mean.

Rows of models whose routers sent every token to the same experts, as routers of random weights may,
are kept apart: `--one-route NAME ...` writes them to `engine_one_route.csv` and
`engine_one_route_kernels.csv`, which nobody reads as steps of tokens that spread.

    python -m hwmodel.validation.engine_store RUN_FOLDER --device h200 --sitting 2026-11-28-o
"""

import argparse
import csv
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwmodel.quantity.errors import InputError
from hwmodel.validation.rows import DATA

STEPS = (
    "model", "tensor_parallel", "phase", "batch", "prompt", "context", "decodes", "decode_keys",
    "prompts", "prompt_tokens", "prompt_keys", "outputs", "time_s", "median_s", "p90_s", "low_s",
    "high_s", "steps", "repeats", "first_token_s", "per_token_s", "power_w", "energy_j",
    "rate_per_s",
)  # fmt: skip
KERNELS = ("model", "phase", "batch", "prompt", "context", "steps", "wall_s", "kernel", "calls",
           "busy_s")  # fmt: skip
EXPERTS = ("model", "phase", "tokens", "mean", "least", "most", "layers")
REQUESTS = ("model", "stream", "arrival_s", "prompt", "outputs", "first_token_s", "end_s")
FILES = {
    "engine": ("steps.jsonl", STEPS),
    "engine_kernels": ("kernels.jsonl", KERNELS),
    "engine_experts": ("experts.json", EXPERTS),
    "engine_requests": ("requests.jsonl", REQUESTS),
}
"""Stored file -> ending of the files that it is made from, and its columns."""
ONE_ROUTE = {"engine": "engine_one_route", "engine_kernels": "engine_one_route_kernels"}
"""Stored file -> that of models whose tokens all chose the same experts."""


def write_sitting(
    run: Path,
    device: str,
    sitting: str,
    *,
    one_route: Collection[str] = (),
    more: Mapping[str, Any] | None = None,
    data: Path = DATA,
) -> dict[str, int]:
    """Files of one sitting from a run folder; answers the rows of each.

    `more` goes into the header. A model without a timed step is left out, but for its experts.
    """
    timed = {path.name.removesuffix(".steps.jsonl")
             for path in run.glob("*.steps.jsonl") if path.read_text().strip()}  # fmt: skip
    if not timed:
        raise InputError(
            f"{run}: expected at least one NAME.steps.jsonl with rows, found none; "
            "run hwmodel.validation.measure.vllm_engine --out there"
        )
    if unknown := set(one_route) - timed:
        raise InputError(
            f"{run}: --one-route names {', '.join(sorted(unknown))}, which has no timed "
            f"steps there; those that have: {', '.join(sorted(timed))}"
        )
    decided = {path.name.removesuffix(".engine.json"): json.loads(path.read_text())
               for path in sorted(run.glob("*.engine.json"))}  # fmt: skip
    header = json.loads((run / "header.json").read_text()) | {"sitting": sitting, **(more or {})}
    header["one_route"] = sorted(one_route)
    header["engines"] = {
        name: {key: value for key, value in found.items() if key != "model"}
        for name, found in decided.items()
        if name in timed
    }
    folder = data / device / sitting
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, int] = {}
    for file, (ending, columns) in FILES.items():
        rows = [row for path in sorted(run.glob(f"*.{ending}"))
                for row in read_rows(path, path.name.removesuffix(f".{ending}"))]  # fmt: skip
        alone = one_route if file in ONE_ROUTE else ()
        for name, apart in ((file, False), (ONE_ROUTE.get(file, file), True)):
            kept = [row for row in rows if (row["model"] in alone) == apart]
            if kept:
                write_csv(folder / f"{name}.csv", columns, kept)
                written[name] = len(kept)
    part = folder / "header.part"
    part.write_text(json.dumps(header, indent=1) + "\n")
    part.rename(folder / "header.json")  # last of all: a sitting that has its header is whole
    return written


def read_rows(path: Path, model: str) -> list[dict[str, Any]]:
    """Rows of one file, a list or an object a line, each with its model.

    The last line may have been cut off, where a run was ended by its time: it is left out.
    """
    text = path.read_text()
    if path.suffix == ".json":
        return [{"model": model, **row} for row in json.loads(text)]
    rows: list[dict[str, Any]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            rows.append({"model": model, **json.loads(line)})
        except json.JSONDecodeError as error:
            if number == len(lines) and not text.endswith("\n"):
                break
            raise InputError(
                f"{path}, line {number}: expected one JSON object, found {line[:40]!r}; "
                "remove the line and run again"
            ) from error
    return rows


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A CSV under a temporary name, then renamed."""
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
    part.rename(path)


def cell(value: Any) -> str:
    """Six significant digits for a float, nothing for None."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--device", required=True)
    parser.add_argument("--sitting", required=True)
    parser.add_argument("--one-route", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--more", type=json.loads, default={}, help="JSON object for the header")
    options = parser.parse_args()
    print(
        write_sitting(
            options.run,
            options.device,
            options.sitting,
            one_route=options.one_route,
            more=options.more,
        )
    )
