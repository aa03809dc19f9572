"""The store of measured rows: `validation/data/<device>/<sitting>/<file>.csv` and `header.json`.

`write_sitting` turns what `measure.run` wrote into one small CSV for each kind of row, with five
significant digits; `read_rows` reads a kind back over all sittings of a device, each row with its
sitting and board. Units are SI and stand in the column names; `validation/data/README.md` says what
each column means.

    python -m hwmodel.validation.store RUN_FOLDER --device h200
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars

from hwmodel.quantity.errors import InputError
from hwmodel.validation import fused
from hwmodel.validation.rows import DATA, ROW_KERNELS

SHAPE_COLUMNS = {
    "gemm": ("M", "N", "K"),
    "attention": ("batch", "heads", "kv_heads", "queries", "keys", "head_dim", "causal"),
    "attention_backward": ("batch", "heads", "kv_heads", "queries", "keys", "head_dim", "causal"),
    "moe": ("tokens", "experts", "top_k", "hidden", "intermediate", "routing"),
    "rows": ("rows", "cols"),
    "reduce": ("op", "axis", "outputs", "reduced"),
    "convolution": (
        *("op", "layout", "dims", "batch", "groups", "channels", "filters", "depth", "height"),
        *("width", "taps_d", "taps_h", "taps_w", "stride", "dilation", "pad"),
    ),
    "pool": (
        *("op", "layout", "dims", "batch", "channels", "depth", "height", "width"),
        *("taps_d", "taps_h", "taps_w", "stride", "pad"),
    ),
    "scatter": ("op", "sources", "cols", "targets", "hot"),
    "gather": ("op", "sources", "cols", "targets", "bag", "hot"),
    "cumsum": ("op", "axis", "rows", "cols"),
    "sort": ("op", "rows", "cols", "k"),
    "cross_entropy": ("rows", "cols"),
    **{
        name: tuple(dict.fromkeys((*fused.SIZES[name], *fused.FORMS[name][3:])))
        for name in fused.SIZES
    },
    "llm": ("model", "phase", "batch", "prompt", "context"),
    "collective": ("op", "bytes", "ranks"),
}
EVERY_SHAPE = tuple(
    dict.fromkeys(name for family, names in SHAPE_COLUMNS.items()
                  if family not in ("llm", "collective") for name in names)
)  # fmt: skip
TIMED = (
    "time_s", "p10_s", "p90_s", "sustained_time_s", "sustained_clock_hz", "calls", "replays",
    "sets", "set_bytes", "flushed", "clock_hz", "power_w", "temperature_c", "pass",
)  # fmt: skip
ENERGY = (
    "energy_j", "mean_power_w", "time_s", "sustained_time_s", "l2", "clock_hz", "temperature_c",
    "calls", "window_s",
)  # fmt: skip
COUNTED = (
    "dram_bytes_read", "dram_bytes_written", "l2_bytes", "l1_bytes", "tensor_instructions",
    "exp_instructions", "calls", "sets", "mode",
)  # fmt: skip
HEAD = ("family", "kernel", "dtype")
FILES: dict[str, tuple[str, ...]] = {
    "gemm": HEAD + SHAPE_COLUMNS["gemm"] + TIMED,
    "attention": HEAD + SHAPE_COLUMNS["attention"] + TIMED,
    "attention_backward": HEAD + SHAPE_COLUMNS["attention_backward"] + TIMED,
    "moe": HEAD + SHAPE_COLUMNS["moe"] + ("experts_touched", "largest_expert_rows", *TIMED),
    "rows": HEAD + SHAPE_COLUMNS["rows"] + TIMED,
    "reduce": HEAD + SHAPE_COLUMNS["reduce"] + TIMED,
    **{
        name: HEAD + SHAPE_COLUMNS[name] + TIMED
        for name in ("convolution", "pool", "cumsum", "sort", "cross_entropy")
    },
    **{name: HEAD + SHAPE_COLUMNS[name] + ("relative_error", *TIMED) for name in fused.SIZES},
    **{name: HEAD + SHAPE_COLUMNS[name] + ("hottest", *TIMED) for name in ("scatter", "gather")},
    "gemm_thin": HEAD + SHAPE_COLUMNS["gemm"] + TIMED,
    "llm": HEAD + SHAPE_COLUMNS["llm"] + ("experts_touched", "largest_expert_rows", *TIMED),
    "collective": HEAD + SHAPE_COLUMNS["collective"] + TIMED,
    "energy": HEAD + EVERY_SHAPE + ("experts_touched", *ENERGY),
    "counters": HEAD + EVERY_SHAPE + COUNTED,
    "launches": (
        *HEAD,
        *EVERY_SHAPE,
        "launch",
        "name",
        "grid",
        "threads",
        "shared_bytes",
        "registers",
        "traced_s",
        "span_s",
        "calls",
    ),
    "traces": (*HEAD, *SHAPE_COLUMNS["convolution"], "kernels", "error"),
    "trace_kernels": ("number", "name"),
    "probes": ("probe", "setting", "value", "unit", "time_s"),
    "refused": ("stage", *HEAD, *EVERY_SHAPE, "error"),
}


def file_of(row: Mapping[str, Any]) -> str:
    """The file that a row belongs to."""
    if "error" in row:
        return "refused"
    stage = str(row["stage"]).removeprefix("triton-")
    if stage in ("energy", "counters", "launches", "probes", "llm"):
        return stage
    if stage == "gemm-thin":
        return "gemm_thin"
    return "rows" if row["family"] in ROW_KERNELS else str(row["family"])


def cell(value: Any) -> str:
    """Five significant digits for a float, 1 or 0 for a truth, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def launch_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns of the launch record, where a kernel was launched with one of ours."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [n for n in names if n.startswith("tile_") or n in ("stream_k", "passes")]


def with_pass(row: Mapping[str, Any]) -> dict[str, Any]:
    """`pass`: anchor or again for a round of the fixed shapes, menu for whole menus, or random."""
    rounds = {"anchors": "anchor", "anchors-again": "again", "triton-menu": "menu"}
    return dict(row) | {"pass": rounds.get(str(row["stage"]), "random")}


def write_sitting(run: Path, device: str, *, data: Path = DATA) -> dict[str, int]:
    """Files of one sitting from a folder that `measure.run` wrote; answers the rows of each."""
    header = json.loads((run / "header.json").read_text())
    folder = data / device / header["sitting"]
    folder.mkdir(parents=True, exist_ok=True)
    grouped: dict[str, list[dict[str, Any]]] = {}
    timed = run / "rows.jsonl"
    lines = timed.read_text().splitlines() if timed.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            row = with_pass(json.loads(line))
        except json.JSONDecodeError as error:
            raise InputError(
                f"{run / 'rows.jsonl'}, line {number}: expected one JSON object, found "
                f"{line[:40]!r} ({error.msg}); remove a line that was cut off and run again"
            ) from error
        grouped.setdefault(file_of(row), []).append(row)
    for name, rows in grouped.items():
        write_csv(folder / f"{name}.csv", (*FILES[name], *launch_columns(rows)), rows)
    grouped |= traced(run)
    for name in set(grouped) & {"traces", "trace_kernels"}:
        write_csv(folder / f"{name}.csv", FILES[name], grouped[name])
    part = folder / "header.part"
    part.write_text(json.dumps(header, indent=1) + "\n")
    part.rename(folder / "header.json")  # last of all: a sitting that has its header is whole
    return {name: len(rows) for name, rows in sorted(grouped.items())}


def traced(run: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of traces, where `measure.cold_traces` wrote some, and the names of their kernels.

    `kernels` are those of one call in order, each "number:microseconds", of kernels in a grid
    "number:microseconds@grid".
    """
    if not (run / "traces.jsonl").is_file():
        return {}
    rows = [json.loads(line) for line in (run / "traces.jsonl").read_text().splitlines()]
    for row in rows:
        each = row.get("kernels")
        if each is not None:
            row["kernels"] = " ".join(
                f"{number}:{last:g}" + (f"@{grid}" if grid else "")
                for number, grid, *_, last in each
            )
    names = [json.loads(line) for line in (run / "names.jsonl").read_text().splitlines()]
    known = [{"number": number, "name": name} for number, name in names]
    return {"traces": rows, "trace_kernels": known}


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV under a temporary name, then renamed; columns that no row has are left out."""
    kept = [name for name in columns if any(row.get(name) is not None for row in rows)]
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(kept)
        writer.writerows([cell(row.get(name)) for name in kept] for row in rows)
    part.rename(path)


def sittings(device: str, *, data: Path = DATA) -> list[Path]:
    """The sittings of a device, oldest first."""
    folder = data / device
    found = sorted(path.parent for path in folder.glob("*/header.json"))
    if not found:
        known = sorted(path.name for path in data.iterdir() if path.is_dir())
        raise InputError(
            f"device {device!r} has no measured rows; measured devices: {', '.join(known)}"
        )
    return found


def read_rows(device: str, name: str, *, data: Path = DATA) -> polars.DataFrame:
    """All rows of one file (`gemm`, `attention`, `llm`, ...) with `sitting` and `board` columns."""
    if name not in FILES:
        raise InputError(f"no rows of kind {name!r}; kinds: {', '.join(FILES)}")
    frames: list[polars.DataFrame] = []
    for folder in sittings(device, data=data):
        path = folder / f"{name}.csv"
        if path.exists():
            header = json.loads((folder / "header.json").read_text())
            frame = polars.read_csv(path, infer_schema_length=None)
            frames.append(
                frame.with_columns(
                    polars.lit(header["sitting"]).alias("sitting"),
                    polars.lit(header["board"]).alias("board"),
                )
            )
    return polars.concat(frames, how="diagonal_relaxed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--device", required=True)
    options = parser.parse_args()
    print(write_sitting(options.run, options.device))
