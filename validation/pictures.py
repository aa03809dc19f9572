"""The picture of the error report: predicted against measured times of every family."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hwmodel.show.pictures.parity import parity
from hwmodel.validation.report import Judged


def draw(judged: Mapping[str, Sequence[Judged]], path: Path, title: str) -> None:
    """Write one picture: predicted/measured - 1 of each family in a panel, and its 90 % band."""
    times = {
        family: ([each.row.time_s for each in rows], [each.time_s for each in rows])
        for family, rows in judged.items()
    }
    parity(times, path, title=title)
