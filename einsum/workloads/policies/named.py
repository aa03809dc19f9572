"""Policies by name, and as text: `razor-attention`, or `razor-attention:full=0.2,local=256`."""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.named import named
from hwmodel.einsum.workloads.policies.policy import Policy
from hwmodel.quantity.lazily import Lazily

POLICIES: Mapping[str, type[Any]] = Lazily(
    {
        "hack": "hwmodel.einsum.workloads.policies.hack:Hack",
        "keyformer": "hwmodel.einsum.workloads.policies.keyformer:Keyformer",
        "lazy-eviction": "hwmodel.einsum.workloads.policies.lazy_eviction:LazyEviction",
        "mixed-precision": "hwmodel.einsum.workloads.policies.mixed_precision:MixedPrecision",
        "razor-attention": "hwmodel.einsum.workloads.policies.razor_attention:RazorAttention",
        "task-kv": "hwmodel.einsum.workloads.policies.task_kv:TaskKv",
    }
)
"""Name -> the value that it makes, whose fields are its options."""


def policy(given: Policy | str) -> Policy:
    """The policy that a text names, or the value given, its options within their limits.

    Raises `UnknownNameError` for a name, `InputError` for an option.
    """
    return named("cache policy", given, POLICIES)
