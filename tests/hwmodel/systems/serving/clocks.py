"""Clocks of steps whose answers are plain: for tests of what stands on them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.systems.serving.batch import Batch


@dataclass(frozen=True)
class Linear:
    """A step takes `base_s`, and more for each token and each key; a watt of it is a joule."""

    kv_tokens: int = 1_000_000
    base_s: float = 0.01
    token_s: float = 0.0
    key_s: float = 0.0

    def seconds(self, batch: Batch) -> float:
        return float(self._of(batch, batch.keys))

    def joules(self, batch: Batch) -> float:
        return 2 * self.seconds(batch)

    def row(self, first: Batch, steps: int) -> tuple[Any, Any]:
        """Decode steps in a row."""
        found = self._of(first, first.keys + first.decodes * np.arange(steps))
        return found, 2 * found

    def _of(self, batch: Batch, keys: Any) -> Any:
        tokens = batch.decodes + batch.new
        return self.base_s + self.token_s * tokens + self.key_s * (keys + batch.pairs)


@dataclass(frozen=True)
class Fitted(Linear):
    """The same with a rate of its own for pairs of query and key in prompts."""

    pair_s: float = 0.0

    def _of(self, batch: Batch, keys: Any) -> Any:
        pairs = (self.pair_s - self.key_s) * batch.pairs
        return super()._of(batch, keys) + pairs


class Slow(Linear):
    """The same, step by step."""

    row = None  # pyright: ignore


@dataclass(frozen=True)
class Alone:
    """A sequence's step of a prompt takes a second, and nothing decodes."""

    kv_tokens: int = 10_000

    def seconds(self, batch: Batch) -> float:
        return float(batch.prompts)

    def joules(self, batch: Batch) -> float:
        return 0.0
