"""Measured throughputs of image networks, against predictions.

`python -m hwmodel.validation.image_networks TABLE` prints each as it is found, then all, worst
first; six hundred take some minutes. A table has a row a network, as
pytorch-image-models writes its benchmarks: `model`, `infer_img_size`, `infer_batch_size`,
`infer_samples_per_sec`. Networks that are not known at their size are left out. They ran under
torch.autocast in fp16, channels first, without a compiler.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwmodel.einsum.workloads.cnn import cnn
from hwmodel.hardware.catalogue import device as device_of
from hwmodel.machines.driver import predict
from hwmodel.quantity.errors import CoverageError, UnknownNameError


@dataclass(frozen=True)
class Compared:
    """A network at one size: seconds for an image, measured and predicted, and its interval."""

    name: str
    measured_s: float
    predicted_s: float
    low_s: float
    high_s: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted_s / self.measured_s

    @property
    def inside(self) -> bool:
        """Whether the measured time lies in the interval."""
        return self.low_s <= self.measured_s <= self.high_s

    def __str__(self) -> str:
        """Its line of the report."""
        return f"{self.name:38}{self.measured_s * 1e6:10.1f} us{self.ratio:8.2f}"


def compared(path: str | Path, device: str = "rtx-4090") -> Iterator[Compared]:
    """Every row of a table whose network is known at its size, predicted on a device, in turn."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        batch = int(row["infer_batch_size"])
        side = int(row["infer_img_size"])
        try:
            work = cnn(row["model"], resolution=side, dtype="fp16", batch=batch, autocast=True)
        except (CoverageError, UnknownNameError):
            continue
        made = predict(work, device_of(device))
        times = (float(each) / batch for each in (made.time_s, made.time_low_s, made.time_high_s))
        yield Compared(row["model"], 1 / float(row["infer_samples_per_sec"]), *times)


def median_error(found: Sequence[Compared]) -> float:
    """The median of |predicted / measured - 1|."""
    return float(np.median([abs(each.ratio - 1) for each in found]))


def rank_correlation(found: Sequence[Compared]) -> float:
    """Spearman's correlation of the predicted and the measured times."""
    measured, predicted = (
        np.argsort(np.argsort(np.array(times))).astype(np.float64)
        for times in ([each.measured_s for each in found], [each.predicted_s for each in found])
    )
    return float(np.corrcoef(measured, predicted)[0, 1])


def report(found: Sequence[Compared]) -> str:
    """A line a network, worst first, and what they come to."""
    ordered = sorted(found, key=lambda each: -abs(np.log(each.ratio)))
    lines = [str(each) for each in ordered]
    inside = sum(each.inside for each in found) / len(found)
    return "\n".join(
        (
            *lines,
            f"{len(found)} networks: median error {median_error(found):.1%}, rank correlation"
            f" {rank_correlation(found):.3f}, {inside:.0%} inside their interval",
        )
    )


def main() -> None:
    """Print the report of a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--on", default="rtx-4090", help="device (default rtx-4090)")
    given = parser.parse_args()
    found: list[Compared] = []
    for each in compared(given.table, given.on):
        print(each, flush=True)
        found.append(each)
    print(f"\nworst first\n{report(found)}")


if __name__ == "__main__":
    main()
