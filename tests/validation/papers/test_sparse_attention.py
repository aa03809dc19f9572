"""Published claims of sparse and routed attention: which hold, and the one that does not."""

from hwmodel.validation.papers.sparse_attention import claims, met


def test_every_claim_holds_but_sparsed_on_an_h100() -> None:
    # There attention has a larger share of a pass, and blocks run at FlashAttention-2's rate.
    missed = [claim for claim in claims() if not claim.holds]
    assert [claim.quantity for claim in missed] == ["64 Ki tokens, 1,024 passes, H100"]
    assert missed[0].error < 0.15


def test_the_share_that_meets_a_gain_is_found() -> None:
    assert abs(met(lambda share: 1 / share, 4.0) - 0.25) < 0.001
