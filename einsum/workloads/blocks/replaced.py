"""A block with another in the place of one that it is made of."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeAlias, cast

from hwmodel.einsum.workloads.blocks.block import Block

Change: TypeAlias = Callable[[Block], Block | None]
"""A block to the one in its place; None: it stays, and what it is made of is asked."""


def replaced(block: Block, change: Change) -> Block:
    """The block, or what it is made of, changed: fields that may hold any block are looked into."""
    found = change(block)
    if found is not None or not is_dataclass(block):
        return block if found is None else found
    other: dict[str, Any] = {}
    for field in fields(block):
        value: Any = getattr(block, field.name)
        if field.type is Block:
            other[field.name] = replaced(value, change)
        elif field.type == tuple[Block, ...]:
            other[field.name] = tuple(replaced(each, change) for each in value)
    return cast(Block, replace(cast(Any, block), **other)) if other else block
