"""What a search has in hand: which answers stay, and which bounds can better none of them."""

import numpy as np

from hwmodel.mappers.nests.answers import OBJECTIVES, Answers, Chain, Values


def chain(joules: float, seconds: float) -> Chain:
    return Chain((), (), (), values(joules, seconds))


def values(joules: float, seconds: float) -> Values:
    return Values(*(np.array([each]) for each in (joules, seconds, 0.0)))


def test_a_front_keeps_what_no_other_beats_in_both() -> None:
    answers = Answers(OBJECTIVES["front"])
    for joules, seconds in ((3, 1), (2, 2), (1, 3), (1, 2)):
        answers.offer(chain(joules, seconds))
    kept = {(float(c.values.energy[0]), float(c.values.time[0])) for c in answers.best}
    assert kept == {(3, 1), (1, 2)}
    assert not answers.hopeless(values(0.5, 9)).any()
    assert answers.hopeless(values(2, 2)).all()


def test_of_equal_energies_only_a_faster_one_is_better() -> None:
    answers = Answers(OBJECTIVES["energy"])
    answers.offer(chain(1, 5))
    assert answers.hopeless(values(1, 5)).all()
    assert not answers.hopeless(values(1, 4)).any()
    assert answers.hopeless(values(1.1, 1)).all()
