"""The network whose attention follows a cache policy, and what an answer has to tell of it."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.evicting import Evicting
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.policies.policy import Policy
from hwmodel.quantity.errors import CoverageError


def following(policy: Policy, network: Network) -> Network:
    """The network whose layers keep what the policy says.

    Raises `CoverageError` where no layer has attention with keys and values by head, or all have a
    sliding window already: a policy chooses among tokens that a layer can see.
    """
    by_layer = {n: group.blocks for group in network.layers for n in group.numbers}
    changed = [
        tuple(_changed(block, policy, layer) for block in by_layer[layer])
        for layer in sorted(by_layer)
    ]
    made = replace(network, layers=grouped(changed))
    if made == network:
        raise CoverageError(
            f"cache_policy: {policy.NAME}: expected layers that attend to the whole context with"
            " keys and values by head, found none in this model"
        )
    return made


def said_of(where: str, policy: Policy) -> str:
    """What an answer has to tell of a policy."""
    options = ", ".join(f"{f.name}={getattr(policy, f.name):g}" for f in fields(cast(Any, policy)))
    return (
        f"{where}: its cache follows {policy.NAME} ({options}; {policy.SOURCE}): heads of a class"
        " are a kernel of their own, prompts are attended to in full, accuracy is not looked at"
    )


def _changed(block: Block, policy: Policy, layer: int) -> Block:
    """A block with its attention, or that of the blocks that it is made of, following a policy."""
    if isinstance(block, Attention):
        if block.window is not None or block.borrowed:
            return block
        return Evicting(block, policy.classes(layer, block.kv_heads), policy)
    if not getattr(block, "parts", ()) or not is_dataclass(block):
        return block
    other: dict[str, Any] = {}
    for field in fields(block):
        value: Any = getattr(block, field.name)
        if field.name == "parts":
            continue
        if hasattr(value, "stages"):
            other[field.name] = _changed(value, policy, layer)
        elif isinstance(value, tuple) and all(hasattr(v, "stages") for v in cast(Any, value)):
            other[field.name] = tuple(_changed(v, policy, layer) for v in cast(Any, value))
    return cast(Block, replace(cast(Any, block), **other))
