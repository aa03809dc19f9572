"""SpAtten's published cycles hold, and its mean saving of DRAM traffic."""

from hwmodel.validation.papers import spatten


def test_every_claim_holds() -> None:
    failed = [claim for claim in spatten.claims() if not claim.holds]
    assert not failed


def test_a_trace_without_pruning_saves_only_bits() -> None:
    whole = spatten.Trace(1000, 1000, 1000, 0, 8, 8, 0)
    assert whole.reduction == 4


def test_both_kinds_of_benchmarks_count_in_the_mean() -> None:
    """22 x 1.2091 x 1.1 x 4 of BERT and 8 x the mean of 28.87 and 8.96, over 30."""
    assert abs(spatten.mix() - (22 * 1.209091 * 1.1 * 4 + 8 * 18.9136) / 30) < 1e-3
