"""FlashAttention-4's tables of cycles hold, and its rate on a B200."""

from hwmodel.validation.papers import flash_attention_4


def test_every_claim_holds() -> None:
    failed = [claim for claim in flash_attention_4.claims() if not claim.holds]
    assert not failed
