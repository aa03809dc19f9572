"""Policies by name, and as text: `razor-attention`, or `razor-attention:full=0.2,local=256`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from hwmodel.einsum.workloads.policies.keyformer import Keyformer
from hwmodel.einsum.workloads.policies.lazy_eviction import LazyEviction
from hwmodel.einsum.workloads.policies.policy import Policy
from hwmodel.einsum.workloads.policies.razor_attention import RazorAttention
from hwmodel.einsum.workloads.policies.task_kv import TaskKv
from hwmodel.quantity.errors import InputError, UnknownNameError

POLICIES: Mapping[str, type[Any]] = {
    policy.NAME: policy for policy in (Keyformer, LazyEviction, RazorAttention, TaskKv)
}
"""Name -> the value that it makes, whose fields are its options."""


def policy(text: str) -> Policy:
    """The policy that a text names; `UnknownNameError`, or `InputError` for a bad option."""
    name, _, rest = text.partition(":")
    if name not in POLICIES:
        raise UnknownNameError("cache policy", name, POLICIES)
    known = {field.name: field for field in fields(POLICIES[name])}
    given: dict[str, float] = {}
    for each in rest.split(",") if rest else ():
        key, _, value = each.partition("=")
        if key not in known:
            raise UnknownNameError(f"option of {name}", key, known)
        given[key] = _number(name, key, value, isinstance(known[key].default, int))
    return POLICIES[name](**given)


def _number(name: str, key: str, text: str, whole: bool) -> float:
    """A count, or a share between 0 and 1."""
    wanted = "a whole number" if whole else "a share from 0 to 1"
    try:
        value: float = int(text) if whole else float(text)
    except ValueError:
        value = -1
    if value < 0 or (not whole and not value <= 1):
        raise InputError(f"cache_policy: {name}: {key}: expected {wanted}, found {text!r}")
    return value
