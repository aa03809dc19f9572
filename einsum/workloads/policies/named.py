"""Policies by name, and as text: `razor-attention`, or `razor-attention:full=0.2,local=256`."""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.named import named
from hwmodel.einsum.workloads.policies.hack import Hack
from hwmodel.einsum.workloads.policies.keyformer import Keyformer
from hwmodel.einsum.workloads.policies.lazy_eviction import LazyEviction
from hwmodel.einsum.workloads.policies.mixed_precision import MixedPrecision
from hwmodel.einsum.workloads.policies.policy import Policy
from hwmodel.einsum.workloads.policies.razor_attention import RazorAttention
from hwmodel.einsum.workloads.policies.task_kv import TaskKv

POLICIES: Mapping[str, type[Any]] = {
    policy.NAME: policy
    for policy in (Hack, Keyformer, LazyEviction, MixedPrecision, RazorAttention, TaskKv)
}
"""Name -> the value that it makes, whose fields are its options."""


def policy(given: Policy | str) -> Policy:
    """The policy that a text names, or the value given, its options within their limits.

    Raises `UnknownNameError` for a name, `InputError` for an option.
    """
    return named("cache policy", given, POLICIES)
