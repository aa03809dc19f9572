"""Actions of AccelForge's components: joules and times of one, with what multiplies them.

`energy` (joules) and `latency` (seconds) are of one action of `bits_per_action`; the action's own
scale and its component's multiply them, and `n_parallel_instances` act at once (AccelForge,
`Action` and `Component`).
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from hwmodel.einsum.importers.specification import number
from hwmodel.hardware.hardware import UNLIMITED_BYTES_PER_S
from hwmodel.quantity.errors import InputError


def scaled(tables_of: Sequence[Mapping[str, Any]], key: str, where: str) -> float:
    """The product of what an action and its node multiply by."""
    return prod(said_of(each, key, where) for each in tables_of if key in each)


def joules_of(action: Mapping[str, Any], node: Mapping[str, Any], where: str) -> float:
    """Joules of one action."""
    return said_of(action, "energy", where) * scaled((action, node), "energy_scale", where)


def per_s(
    action: Mapping[str, Any], node: Mapping[str, Any], each: float, where: str
) -> float | None:
    """What an action of so many each does in a second; None where nothing is said of its time."""
    at_once = scaled((node,), "n_parallel_instances", where)
    if action.get("latency") is not None:
        latency_s = said_of(action, "latency", where)
        latency_s *= scaled((action, node), "latency_scale", where)
        return each * at_once / latency_s if latency_s > 0 else UNLIMITED_BYTES_PER_S
    if "throughput" in action:
        return positive(said_of(action, "throughput", where), f"{where}: throughput") * at_once
    return None


def said_of(table_of: Mapping[str, Any], key: str, where: str) -> float:
    """A number of 0 or more; without an end is the largest that is finite."""
    found = number(table_of[key], f"{where}: {key}")
    if not found >= 0:
        raise InputError(f"{where}: {key}: expected a number of 0 or more, found {found}")
    return min(found, UNLIMITED_BYTES_PER_S)


def positive(found: float, where: str) -> float:
    """The number, above 0; raises `InputError`."""
    if not 0 < found <= UNLIMITED_BYTES_PER_S:
        raise InputError(f"{where}: expected a number above 0, found {found}")
    return found
