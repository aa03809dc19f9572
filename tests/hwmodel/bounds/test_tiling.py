"""The tile program: exponents known from the literature, and counts of points by brute force."""

import random
from fractions import Fraction
from itertools import permutations, product

import pytest
from numpy.testing import assert_allclose

from hwmodel.bounds.tiling import Exponents, TileProgram, tile_program, tile_sides
from hwmodel.einsum.notation import parse
from hwmodel.quantity.errors import CoverageError

HALF = Fraction(1, 2)
IMAGE = "tensor I[n, h, w, c]\nO[n, y, x, f] = I[n, y+r, x+s, c] * W[f, c, r, s]"
MATMUL = "Z[m, n] = A[m, k] * B[k, n]"


def _ranks(text: str) -> set[str]:
    inside = "".join(part.split("]")[0] for part in text.split("[")[1:])
    return {letter for letter in inside if letter.islower()}


def of(text: str) -> TileProgram:
    cascade = parse(text, sizes=dict.fromkeys(_ranks(text), 4))
    return tile_program(cascade.einsums[-1], cascade)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        pytest.param(MATMUL, Fraction(3, 2), id="matmul: Hong and Kung 1981"),
        pytest.param("Z[b, m, n] = A[b, m, k] * B[b, k, n]", Fraction(3, 2), id="batched"),
        pytest.param("Z[i, r] = T[i, j, k] * B[j, r] * C[k, r]", Fraction(5, 3), id="MTTKRP"),
        pytest.param("F[i] = P[i] * Q[j]", Fraction(2), id="n-body: Christ and others 2013"),
        pytest.param("Z[i, j, k] = A[l, i] * B[l, j] * C[l, k]", Fraction(5, 3), id="CP"),
    ],
)
def test_exponents_are_those_of_the_literature(text: str, total: Fraction) -> None:
    """The last, three factors of a tensor: 1/3 of each covers l, and leaves 2/3 to the output."""
    free = [vertex.total for vertex in of(text).vertices if not vertex.ranks]
    assert min(free) == total


def test_a_matrix_product_has_one_vertex_of_halves() -> None:
    assert of(MATMUL).vertices == (Exponents((HALF, HALF, HALF), ()),)


def test_a_product_with_a_vector_can_only_move_its_vectors_again() -> None:
    one = Fraction(1)
    assert of("Z[m] = A[m, k] * X[k]").vertices == (Exponents((one, Fraction(0), one), ()),)


def test_no_vertex_is_kept_that_another_beats_at_every_size() -> None:
    """Of a convolution of images: none has another's total and larger small ranks on top."""
    sizes = dict.fromkeys("nyxfcrs", 3) | {"h": 5, "w": 5}
    cascade = parse(IMAGE, sizes=sizes)
    for one, other in permutations(tile_program(cascade.einsums[0], cascade).vertices, 2):
        mine, small = dict(one.ranks), dict(other.ranks)
        less = all(u <= small.get(rank, 0) for rank, u in one.ranks) and mine != small
        assert one.total > other.total or not less


def test_a_stride_splits_a_window() -> None:
    text = "tensor I[w]\nO[k, x] = I[2*x+s] * F[k, s]"
    cascade = parse(text, sizes={"w": 9, "x": 4, "k": 3, "s": 3})
    found = tile_program(cascade.einsums[0], cascade)
    assert found.splits == (("s", "s / 2", 2),)
    small = Exponents((HALF, HALF, HALF), (("s / 2", HALF),))
    assert small in found.vertices


WINDOW = "tensor I[c, w]\nO[k, x] = I[c, 2*x+s] * F[k, c, s]"
SPREAD = "tensor I[c, w]\nO[k, x] = I[c, 3*x+2*s] * F[k, c, s]"
MTTKRP = "Z[i, r] = T[i, j, k] * B[j, r] * C[k, r]"


@pytest.mark.parametrize(
    ("text", "sizes", "accesses"),
    [
        (MATMUL, "mnk", ["m n", "m k", "k n"]),
        (WINDOW, "kxcs", ["k x", "c 2x+s", "k c s"]),
        (SPREAD, "kxcs", ["k x", "c 3x+2s", "k c s"]),
        (MTTKRP, "ijkr", ["i r", "i j k", "j r", "k r"]),
    ],
)
def test_no_set_of_points_is_larger_than_its_projections_allow(
    text: str, sizes: str, accesses: list[str]
) -> None:
    """Hundreds of random subsets, clouds and boxes; indices are worked out from words."""
    size = 4
    given = {letter: size for letter in sizes} | ({"w": 99} if "w]" in text else {})
    cascade = parse(text, sizes=given)
    found = tile_program(cascade.einsums[0], cascade)
    extents: dict[str, int] = dict.fromkeys(sizes, size)
    for rank, coarse, stride in found.splits:
        extents |= {coarse: -(-size // stride), rank: min(size, stride)}
    generator = random.Random(7)
    every = product(range(size), repeat=len(sizes))
    space = [dict(zip(sizes, point, strict=True)) for point in every]
    for trial in range(300):
        if trial % 2:
            chosen = generator.sample(space, generator.randint(1, len(space)))
        else:
            box = {name: generator.randint(1, size) for name in sizes}
            chosen = [p for p in space if all(p[name] < box[name] for name in sizes)]
        sides = [len({_place(access, point) for point in chosen}) for access in accesses]
        for vertex in found.vertices:
            most = 1.0
            for rank, u in vertex.ranks:
                most *= extents[rank] ** float(u)
            for side, s in zip(sides, vertex.accesses, strict=True):
                most *= side ** float(s)
            assert len(chosen) <= most * (1 + 1e-9)


def _place(access: str, point: dict[str, int]) -> tuple[int, ...]:
    """Where `c 2x+s` reads at a point."""
    return tuple(
        sum(int(term[:-1] or 1) * point[term[-1]] for term in index.split("+"))
        for index in access.split()
    )


def test_the_tile_that_attains_the_exponent_is_a_cube_or_as_long_as_a_small_rank_allows() -> None:
    cascade = parse(MATMUL, sizes={"m": 1024, "n": 1024, "k": 1024})
    sides = tile_sides(cascade.einsums[0], cascade, 4096)
    assert_allclose([sides["m"] * sides["n"], sides["m"] * sides["k"]], [4096, 4096])
    thin = parse(MATMUL, sizes={"m": 1024, "n": 1024, "k": 4})
    sides = tile_sides(thin.einsums[0], thin, 4096)
    assert_allclose([sides["k"], sides["m"] * sides["n"]], [4, 4096])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("tensor A[w]\nZ[i] = A[i+j+k]", r"tensor A: .*found i \+ j \+ k"),
        ("tensor A[w, v]\nZ[i] = A[i+j, i+2*j]", r"tensor A: .*found i \+ j, i \+ 2\*j"),
        ("tensor A[v, c]\nZ[i, c] = gather(A[v, c], P[i])", "tensor A: .*looked up in data"),
    ],
)
def test_other_maps_are_refused_by_name(text: str, what: str) -> None:
    sizes = {"i": 4, "j": 4, "k": 4, "c": 4, "v": 99, "w": 99}
    cascade = parse(text, sizes={rank: sizes[rank] for rank in sizes if rank in _ranks(text)})
    with pytest.raises(CoverageError, match=what):
        tile_program(cascade.einsums[0], cascade)
    if "+" in text:
        with pytest.raises(CoverageError, match="tile"):
            tile_sides(cascade.einsums[0], cascade, 16)
