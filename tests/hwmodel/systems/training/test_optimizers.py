"""Optimisers that treat a weight as a matrix: operations, bytes and exchanges by hand."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.training import training
from hwmodel.quantity.errors import InputError

WIDTH, LAYERS, ROWS = 1024, 4, 8 * 512
SHAPES = (*[(WIDTH, WIDTH)] * 4, (4 * WIDTH, WIDTH), (WIDTH, 4 * WIDTH))
"""Of q, k, v and o, each a matrix, and of both products of the MLP."""
GPT: dict[str, Any] = {
    **{"model_type": "gpt2", "n_layer": LAYERS, "n_embd": WIDTH, "n_head": 16},
    **{"n_positions": 512, "vocab_size": 8192},
}


def step(optimizer: str, **how: Any) -> Any:
    given: dict[str, Any] = {"micro_batch": 4, "dp": 2, "zero": 0, **how}
    work: Any = training(GPT, 512, 16, optimizer=optimizer, **given)
    return hw.predict(work, on="h100")


@pytest.fixture(scope="module")
def adam() -> Any:
    return step("adam")


def test_adam_has_no_products(adam: Any) -> None:
    assert adam.optimizer_flops == adam.optimizer_sent_bytes == 0


def test_muon_has_three_products_along_the_shorter_side_five_times(adam: Any) -> None:
    found = step("muon")
    each = (2 * (2 * min(s) ** 2 * max(s) + min(s) ** 3) for s in SHAPES)
    assert found.optimizer_flops == 5 * LAYERS * sum(each)
    assert found.optimizer_bytes < adam.optimizer_bytes  # one state in place of two
    assert found.optimizer_s > found.optimizer_flops / 989e12


def test_kfac_keeps_and_exchanges_factors_and_inverts_them() -> None:
    """A covariance of each side over a device's rows, an inverse, and two products a step."""
    found = step("kfac")
    sides = [side for shape in SHAPES for side in shape]
    anew = sum(2 * side**2 * ROWS + 2 * side**3 for side in sides)
    always = sum(2 * m * n * (m + n) for m, n in SHAPES)
    assert found.optimizer_flops == LAYERS * (anew + always)
    assert found.optimizer_sent_bytes == LAYERS * sum(4 * side**2 for side in sides)
    momentum = step("momentum")
    factors = LAYERS * sum(2 * 4 * side**2 for side in sides)
    assert found.optimizer_bytes == momentum.optimizer_bytes + factors
    assert found.exposed_communication_s > momentum.exposed_communication_s
    seldom = step("kfac", every=10)
    assert seldom.optimizer_flops == pytest.approx(LAYERS * (anew / 10 + always))
    assert seldom.optimizer_s < found.optimizer_s


def test_mkor_exchanges_vectors_and_replicas_of_zero_share_its_matrices() -> None:
    found, kfac = step("mkor"), step("kfac")
    sides = [side for shape in SHAPES for side in shape]
    assert found.optimizer_sent_bytes == LAYERS * sum(2 * side for side in sides)
    assert found.optimizer_s < kfac.optimizer_s
    dealt = step("mkor", zero=1)
    assert dealt.optimizer_s < found.optimizer_s
    factors = LAYERS * sum(2 * side**2 for side in sides)
    momentum = step("momentum", zero=1)
    assert dealt.optimizer_bytes == momentum.optimizer_bytes + factors / 2


def test_factors_that_are_never_made_are_refused() -> None:
    with pytest.raises(InputError, match="every: expected a number above 0"):
        step("kfac", every=0)
