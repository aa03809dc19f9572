"""TokenRing's figures: all hold, and would not at another rate of the link."""

import pytest

from hwmodel.validation.papers import token_ring


def test_one_rate_explains_both_times() -> None:
    assert [claim.quantity for claim in token_ring.claims() if not claim.holds] == []


def test_at_another_rate_they_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_ring, "RATE", "16 GB/s")
    failed = [claim for claim in token_ring.claims() if not claim.holds]
    assert len(failed) == 2
