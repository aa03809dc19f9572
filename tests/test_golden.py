"""Some 200 predictions that must not change in silence; they guard change, not accuracy.

`tests/golden/estimates.jsonl` holds a case a line with its answer to six digits. Where answers
differ on purpose, write it anew in the same commit, with a line in CHANGELOG.md that says why:

    python -m tests.test_golden

A line that holds a case only is a new one, and gets its answer so.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hwmodel.verbs.cases import predict_lines

FILE = Path(__file__).parent / "golden" / "estimates.jsonl"
TOLERANCE = 2e-5
"""Relative; answers are kept to six digits, and sums may be taken in another order elsewhere."""

SHOWN = 40
"""Rows of the table of differences, at most."""

Row = dict[str, Any]


def kept() -> list[Row]:
    """The lines of the golden file."""
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def answered(cases: Sequence[Row]) -> list[Row]:
    """Each case with what is predicted now, to six digits."""
    answers = predict_lines([json.dumps(case) for case in cases], where=FILE.name)
    return [
        {"case": case, **{k: _short(v) for k, v in answer.items() if k != "warnings"}}
        for case, answer in zip(cases, answers, strict=True)
    ]


def _short(value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(f"{value:.6g}") if number else value


def differs(old: Any, new: Any) -> bool:
    """Whether two answers to one case are more apart than rounding."""
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return abs(new - old) > TOLERANCE * abs(old)
    return old != new


def differences(old: Sequence[Row], new: Sequence[Row]) -> list[tuple[str, str, Any, Any]]:
    """(case, field, old, new) of every field that changed."""
    return [
        (" ".join(str(value) for value in before["case"].values()), field, was, now)
        for before, after in zip(old, new, strict=True)
        for field in sorted({*before, *after} - {"case"})
        for was, now in ((before.get(field), after.get(field)),)
        if differs(was, now)
    ]


def table(rows: Sequence[tuple[str, str, Any, Any]]) -> str:
    """Differences as text, with the ratio of new to old."""
    lines = [f"{'case':<72} {'field':<20} {'old':>12} {'new':>12} {'new/old':>8}"]
    for case, field, was, now in rows[:SHOWN]:
        numbers = isinstance(was, (int, float)) and isinstance(now, (int, float)) and was
        ratio = f"{now / was:.4f}" if numbers else "-"
        lines.append(f"{case[:72]:<72} {field:<20} {was!s:>12} {now!s:>12} {ratio:>8}")
    if len(rows) > SHOWN:
        lines.append(f"... and {len(rows) - SHOWN} more")
    return "\n".join(lines)


def test_predictions_are_those_of_the_golden_file() -> None:
    old = kept()
    found = differences(old, answered([row["case"] for row in old]))
    if found:
        pytest.fail(
            f"{len(found)} predicted values changed:\n\n{table(found)}\n\nif that is meant, run"
            " `python -m tests.test_golden` and say why in CHANGELOG.md",
            pytrace=False,
        )


def test_the_golden_file_covers_kinds_devices_and_formats() -> None:
    rows = kept()
    assert 180 <= len(rows) <= 260
    assert not [row for row in rows if "error" in row]
    values = {field: {row["case"].get(field) for row in rows} for field in ("on", "dtype")}
    assert {"a100", "b200", "h100", "h200", "l40s", "mi300x"} <= values["on"]
    assert {"bf16", "fp16", "tf32", "fp32", "fp8"} <= values["dtype"]
    assert {row["case"]["workload"] for row in rows} >= {
        *("gemm", "attention", "moe", "softmax", "rmsnorm", "layernorm", "gelu", "add", "copy"),
        *("collective", "llm"),
    }


def test_a_change_is_told_with_its_ratio() -> None:
    old: list[Row] = [{"case": {"workload": "gemm", "M": 8}, "time_s": 2.0, "bottleneck": "dram"}]
    same: list[Row] = [{**old[0], "time_s": 2.00001}]
    new: list[Row] = [{**old[0], "time_s": 3.0, "bottleneck": "matrix"}]
    assert differences(old, same) == []
    lines = table(differences(old, new)).splitlines()
    assert lines[1].split() == ["gemm", "8", "bottleneck", "dram", "matrix", "-"]
    assert lines[2].split() == ["gemm", "8", "time_s", "2.0", "3.0", "1.5000"]


def main() -> None:
    """Write the golden file anew, and print what changed."""
    old = kept()
    new = answered([row["case"] for row in old])
    FILE.write_text("".join(json.dumps(row) + "\n" for row in new), encoding="utf-8")
    print(table(differences(old, new)))


if __name__ == "__main__":
    main()
