"""Stages of convolutions and irregular kernels: all in turn, or each kind by itself.

`structures` takes two of the former, then one of the latter, so that a sitting that is cut short
has measured some of each. `windows` and `irregular` go deeper where rules are to be read off: more
convolutions in groups, transposed, in one and three directions than networks have; losses, gathers
and sorts.
"""

from collections.abc import Iterator

from hwmodel.validation.measure.irregular_shapes import irregular_cases, rarer_cases
from hwmodel.validation.measure.shapes import Case, round_robin
from hwmodel.validation.measure.window_shapes import rarer_windows, window_cases


def structure_streams(seed: int) -> dict[str, Iterator[Case]]:
    """Endless cases by the name of their stage."""
    windows = window_cases(seed)
    return {
        "structures": round_robin([windows, windows, irregular_cases(seed)]),
        "windows": rarer_windows(seed),
        "irregular": rarer_cases(seed),
    }
