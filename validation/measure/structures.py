"""The stage of convolutions and irregular kernels: two of the former, then one of the latter.

They take turns, so that a sitting that is cut short has measured some of each.
"""

from collections.abc import Iterator

from hwmodel.validation.measure.irregular_shapes import irregular_cases
from hwmodel.validation.measure.shapes import Case, round_robin
from hwmodel.validation.measure.window_shapes import window_cases


def structure_streams(seed: int) -> dict[str, Iterator[Case]]:
    """Endless cases by the name of their stage."""
    windows = window_cases(seed)
    return {"structures": round_robin([windows, windows, irregular_cases(seed)])}
