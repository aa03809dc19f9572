"""A step's batch is a value that tells steps apart by their sums."""

from hwmodel.systems.serving.batch import Batch


def test_steps_of_the_same_sums_are_one_step_and_drafts_make_another() -> None:
    assert Batch(decodes=2, keys=300) == Batch(decodes=2, keys=300, queries=1)
    assert len({Batch(decodes=2, keys=300), Batch(decodes=2, keys=300, queries=3)}) == 2
