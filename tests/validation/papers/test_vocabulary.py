"""Vocabulary Parallelism: claims, and peaks of memory that its repository publishes."""

import pytest

from hwmodel.validation.papers import vocabulary
from hwmodel.validation.papers.given import Given


def test_a_shared_vocabulary_is_twice_as_fast_and_holds_what_was_published() -> None:
    """full-exp.txt, 2,048 tokens and 256,000 words: a peak of 19.44 GiB with one barrier."""
    claims = vocabulary.shared_vocabulary(Given())
    assert all(claim.holds for claim in claims)
    shared = vocabulary.step(Given(), "stages")
    assert shared.memory_bytes / 2**30 == pytest.approx(19.44, rel=0.05)
    assert max(shared.memory_by_rank) < 1.5 * min(shared.memory_by_rank)
