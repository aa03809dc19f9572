"""Keyformer (Adnan et al., MLSys 2024, arXiv 2403.09054): recent tokens and key tokens.

Every head keeps `share` of the context: its most recent tokens, and of the others those with the
highest score, which sums over steps a softmax of logits with Gumbel noise. The scores
are kept in fp32 for each query head. How many of the kept are recent changes no count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.policies.policy import HeadClass
from hwmodel.einsum.workloads.rows import add, softmax
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Keyformer:
    """`share` of the context's tokens is kept; published at half of the prompt."""

    NAME: ClassVar[str] = "keyformer"
    SOURCE: ClassVar[str] = "arXiv 2403.09054"

    share: float = 0.5

    def classes(self, layer: int, kv_heads: int) -> tuple[HeadClass, ...]:
        """One class: key tokens and recent ones."""
        return (HeadClass("key tokens", kv_heads, Kept(share=self.share)),)

    def work(self, rows: Amount, kept: Amount) -> Sequence[Cascade]:
        """Noise to the logits, their softmax, its sum with the scores, and the least score."""
        sizes: dict[str, Amount] = {"r": rows, "c": kept}
        least = parse(
            "Y[r] = min(c) X[r, c]", sizes=sizes, dtypes={"*": "fp32"}, name="least score"
        )
        return (
            add(rows, kept, "fp32", "noise add"),
            softmax(rows, kept, "fp32", "score softmax"),
            add(rows, kept, "fp32", "score add"),
            least,
        )
