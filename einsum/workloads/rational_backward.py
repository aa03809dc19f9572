"""Gradients of a rational function of groups of channels, as group-rational networks train.

    F(x) = P(x) / (1 + |A(x)|),    P of degree 5, A = b1 x + ... + b4 x^4,

with ten coefficients for each group (Kolmogorov-Arnold transformers; FlashKAT, arXiv 2505.13813).
The gradient of x is elementwise; those of the coefficients are sums over all rows and the group's
columns. Ranks: r rows, g groups, c columns of a group. Sums are fp32.
"""

from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

ABOVE, BELOW = 6, 4
"""Coefficients of P and of A."""
X = "X[r, g, c]"


def _horner(letter: str, first: int, last: int) -> str:
    """A polynomial in x whose coefficients are single numbers of a group.

    >>> _horner("B", 1, 2)
    '(B1[g] + X[r, g, c] * B2[g])'
    """
    text = f"{letter}{last}[g]"
    for power in range(last - 1, first - 1, -1):
        text = f"({letter}{power}[g] + {X} * {text})"
    return text


def _slope(letter: str, last: int) -> str:
    """The derivative of a polynomial whose constant is number 0."""
    text = f"{last} * {letter}{last}[g]"
    for power in range(last - 1, 0, -1):
        text = f"({power} * {letter}{power}[g] + {X} * {text})"
    return text


def _text() -> str:
    """Coefficients are weights; T is what x^i is multiplied by for P's, U for A's."""
    lines = [f"tensor A{i}[g]: weight" for i in range(ABOVE)]
    lines += [f"tensor B{j}[g]: weight" for j in range(1, BELOW + 1)]
    sums = [f"DA{i}" for i in range(ABOVE)] + [f"DB{j}" for j in range(1, BELOW + 1)]
    lines += [f"output DX, {', '.join(sums)}"]
    lines += [
        f"UP[r, g, c] = {_horner('A', 0, ABOVE - 1)}",
        f"DOWN[r, g, c] = {X} * {_horner('B', 1, BELOW)}",
        "T[r, g, c] = G[r, g, c] / (1 + abs(DOWN[r, g, c]))",
        "SIGNED[r, g, c] = T[r, g, c] * UP[r, g, c] / (1 + abs(DOWN[r, g, c]))",
        "U[r, g, c] = select(less(DOWN[r, g, c], 0), SIGNED[r, g, c], -1 * SIGNED[r, g, c])",
        f"DX[r, g, c] = T[r, g, c] * {_slope('A', ABOVE - 1)} + U[r, g, c] * {_slope('B', BELOW)}",
        "POWER1[r, g, c] = copy(X[r, g, c])",
    ]
    lines += [f"POWER{i}[r, g, c] = POWER{i - 1}[r, g, c] * {X}" for i in range(2, ABOVE)]
    lines += ["DA0[g] = sum(r, c) T[r, g, c]"]
    lines += [f"DA{i}[g] = sum(r, c) T[r, g, c] * POWER{i}[r, g, c]" for i in range(1, ABOVE)]
    lines += [f"DB{j}[g] = sum(r, c) U[r, g, c] * POWER{j}[r, g, c]" for j in range(1, BELOW + 1)]
    return "\n".join(lines)


_TEXT = _text()


@checked
def rational_backward(
    rows: Amount, cols: Amount, groups: Amount, dtype: str = "fp32", name: str = "rational_backward"
) -> Cascade:
    """Gradients of x `(rows, cols)` and of the ten coefficients of each of `groups`.

    Raises `InputError` naming the argument at fault, and for columns that groups do not share.
    """
    arguments: dict[str, Any] = {**locals()}
    sizes = whole("rational_backward", rows=rows, cols=cols, groups=groups)
    whole_groups = sizes["cols"] % sizes["groups"] == 0
    if not (whole_groups if isinstance(whole_groups, bool) else whole_groups.all()):
        raise InputError(
            f"rational_backward: cols: expected a multiple of groups {groups}, found {cols}"
        )
    given = formats("rational_backward", dtype=dtype)["dtype"]
    return instance(
        "rational_backward",
        rational_backward,
        _TEXT,
        sizes={"r": sizes["rows"], "g": sizes["groups"], "c": sizes["cols"] // sizes["groups"]},
        dtypes={"*": "fp32", **dict.fromkeys(("X", "G", "DX"), given)},
        arguments=arguments,
        name=name,
    )
