"""A step's batch is a value that tells steps apart by their sums."""

from hwmodel.systems.serving.batch import Batch


def test_steps_of_the_same_sums_are_one_step() -> None:
    assert len({Batch(decodes=2, keys=300), Batch(2, 300), Batch(decodes=2, keys=301)}) == 2


def test_prompts_of_one_new_token_each_decode() -> None:
    """Two that decode on 300 keys, and one whose 49 earlier tokens came with it: 50 keys more."""
    shipped = Batch(decodes=2, keys=300, prompts=1, new=1, pairs=50)
    assert shipped.uniform == Batch(decodes=3, keys=350)
    chunk = Batch(decodes=2, keys=300, prompts=1, new=2, pairs=99)
    assert chunk.uniform is chunk
