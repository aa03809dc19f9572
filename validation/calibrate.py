"""From measured rows to a calibration file: every family fitted in turn, on the fitting half alone.

    python -m hwmodel.validation.calibrate h200 [--family rows:torch]

Families are fitted in an order in which those that others contain come first (a mixture-of-experts
layer runs row kernels). Each is fitted five times more with one fold left out; the interval is that
of the rows left out. The test half is never read here.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hwmodel.calibration import Calibration, Family
from hwmodel.gpu.predict import family_of
from hwmodel.hardware import Hardware
from hwmodel.registry import CATALOGUE, device, load_calibration
from hwmodel.validation.fit import (
    FOLDS,
    Fit,
    fit,
    fitted_family,
    fold_of,
    is_test,
    predicted_s,
)
from hwmodel.validation.rows import Group, Row, groups, read_rows

ORDER = (
    "rows:torch",
    "gemm:cublas",
    "gemm:cublas-fast-accum",
    "prefill:flash-attention-2",
    "prefill:cudnn",
    "decode:flash-attention-2",
    "decode:cudnn",
    "grouped:torch",
)
PRIORS = CATALOGUE / "calibration" / "uncalibrated.yaml"


def calibrate(
    hardware: Hardware, rows: Sequence[Row], families: Sequence[str] = ORDER
) -> dict[str, tuple[Family, Fit]]:
    """Fitted families of a device, from the fitting half of `rows`."""
    priors = load_calibration(PRIORS)
    current = hardware.calibration or priors
    known: dict[str, Mapping[str, float]] = {n: current.values(n) for n in current.families}
    for name in priors.families:
        known.setdefault(name, priors.values(name))
    every = groups([row for row in rows if not is_test(row)])
    found: dict[str, tuple[Family, Fit]] = {}
    for name in families:
        mine = [group for group in every if _belongs(group, name)]
        if not mine:
            continue
        prior = family_of(priors, name)
        best = fit(name, prior, mine, hardware, known)
        ratios = np.concatenate(
            [_left_out(name, prior, mine, hardware, known, f) for f in range(FOLDS)]
        )
        measured = [row for group in mine for row in group.rows]
        found[name] = (fitted_family(prior, best, ratios, measured), best)
        known[name] = best.values
    return found


def _belongs(group: Group, family: str) -> bool:
    """Whether the group is the family's own: its last new call, the one that names the group."""
    return any(call.family == family for call in group.calls) and not (
        family == "rows:torch" and len(group.calls) > 1
    )


def _left_out(
    name: str,
    prior: Family,
    mine: Sequence[Group],
    hardware: Hardware,
    known: Mapping[str, Mapping[str, float]],
    fold: int,
) -> Any:
    """measured/predicted of one fold, from parameters that did not see it."""
    without = fit(name, prior, mine, hardware, known, keep=lambda row: fold_of(row) != fold)
    ratios = [
        (group.measured_s / predicted_s(group, hardware, name, without.values, known))[
            np.array([fold_of(row) == fold for row in group.rows])
        ]
        for group in mine
    ]
    return np.concatenate(ratios)


def write(calibration: Calibration, path: Path) -> None:
    """Write a calibration as YAML, whole or not at all."""
    text = yaml.safe_dump(
        calibration.model_dump(mode="json"), sort_keys=False, width=100, allow_unicode=True
    )
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(path)


def main(arguments: Sequence[str]) -> None:
    """Fit the named device and print each family's fold errors."""
    name = arguments[0]
    families = arguments[2:] if "--family" in arguments else ORDER
    hardware = device(name)
    rows = [row for row in read_rows(name) if row.columns["family"] != "llm"]
    for family, (entry, best) in calibrate(hardware, rows, families).items():
        print(
            f"{family:28} rows {entry.rows:4}  fitted {best.mean_error:.3f}  90% {entry.interval}"
        )
        for parameter, p in entry.parameters.items():
            print(f"    {parameter:16} {p.value:8.4g} +- {p.standard_error}")


if __name__ == "__main__":
    main(sys.argv[1:])
