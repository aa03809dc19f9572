"""The text of a cascade, as papers write it, read into a `Cascade`.

    rank m = m1 x m0                      # m is partitioned: m1 outer, m0 inner (m1*m0 >= m)
    rank p = 1024, e = 2 * HALF           # sizes in the text; those passed in `sizes` win
    rank t(x) ~ balanced(tokens, top_k)   # t's extent per member of x depends on data: `tokens`
                                          # draws of `top_k` members; also uniform(tokens, top_k)
                                          # and zipf(tokens, top_k, 1.2), the skew's exponent,
                                          # hot(tokens, top_k, 0.1), the share that one member has
    tensor K[h, e, m]: fp8 cache          # axes, then dtype and role (activation, weight, cache)
    output AV                             # else: every tensor that nothing reads

    QK[h, m1, m0, p] = Q[h, e, p] * K[h, e, m1, m0] / sqrt(E) | m <= p + M - P
    LM[h, m1, p]     = max(m0) QK[h, m1, m0, p]
    RM[h, m1+1, p]   = max(RM[h, m1, p], LM[h, m1, p]) ; RM[h, 0, p] = -inf
    S[h, m, p]       = exp(QK[h, m, p]) | 0 <= p - m < 128 ~ 0.25 ? 0.1

- Ranks, operators and free parameters are lower case; tensors start with a capital. In sizes, bands
  and indices a rank in upper case is its extent (`M`, `RNV[f, M1, p]`), and in an expression too,
  where no tensor has that name (`SS[r] / C`).
- The value is an expression of + - * /, calls of `operators.OPERATORS`, numbers and `inf`. In front
  of it stand reductions, outermost first: `max(m1) sum(m0) ...`; a rank that the output lacks and
  no reduction names is summed.
- Indices are affine: `I[c, 2*y+r]`, `RM[m1+1, p]`. An axis that no access names by a single rank
  needs a `tensor` line. A rank is iterative when an output along it is written one step ahead.
- `tensor I[c, h(1, 2)]` says that one place before and two behind along h are pads: zeros that are
  a part of the extent H and multiplied, but not stored.
- After the value, in this order, each optional: `| bands` (comma-separated chains of <= < >= > ==
  between linear terms; a rank may be the parent of a partition), `~ density` (fraction of points
  kept), `? probability` (that the Einsum runs), `; initial values` (several, each after a `;`).
- A line that starts with one of | ; ~ ? + - * / continues the one before; `#` starts a comment.

`parse` keeps the parsed form of every text that it has seen, so calling it again with other sizes
costs only the binding of numbers.
"""

from collections.abc import Mapping
from functools import lru_cache

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.template import Template
from hwmodel.einsum.verify import STRUCTURE_RULES, verify, verify_sizes
from hwmodel.quantity.cache import across
from hwmodel.quantity.checked import named
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import printable, shown
from hwmodel.quantity.reading import TEXT_CHARACTERS
from hwmodel.quantity.units import Amount


@named
def parse(
    text: str,
    *,
    sizes: Mapping[str, Amount] | None = None,
    dtypes: Mapping[str, str] | None = None,
    name: str = "cascade",
) -> Cascade:
    """Read the text of a cascade and bind its sizes.

    `sizes` gives ranks and free parameters by lower-case name, ints or arrays; `dtypes` gives
    formats by tensor, `"*"` for all others. Raises `InputError` pointing at the character.

    >>> gemm = parse("Z[m, n] = A[m, k] * B[n, k]", sizes={"m": 4, "n": 5, "k": 6})
    >>> gemm.einsums[0].reductions
    (('k', 'add'),)
    """
    _check_text(text, name)
    name = printable(name)
    for what, given in (("sizes", sizes), ("dtypes", dtypes)):
        if not (given is None or isinstance(given, Mapping)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"parse: {what}: expected a table by name, found {shown(given)}")
    extents, kinds = tuple((sizes or {}).items()), tuple((dtypes or {}).items())
    if all(type(size) is int for _, size in extents) and all(type(d) is str for _, d in kinds):
        return _bound(text, name, extents, kinds)
    return _bound.__wrapped__(text, name, extents, kinds)


@lru_cache(maxsize=1024)
def _bound(
    text: str,
    name: str,
    sizes: tuple[tuple[str, Amount], ...],
    dtypes: tuple[tuple[str, str], ...],
) -> Cascade:
    """The text's cascade; one and the same wherever all sizes are single ones and the same."""
    cascade = template(text, name).bind(dict(sizes), dict(dtypes), name=name)
    verify_sizes(cascade)
    return cascade


def _check_text(text: object, name: object) -> None:
    """Texts of a length that can be read in a second."""
    if not isinstance(text, str) or not isinstance(name, str):
        found = shown(name if isinstance(text, str) else text)
        raise InputError(f"parse: expected a cascade's text, found {found}")
    if len(text) > TEXT_CHARACTERS:
        raise InputError(
            f"cascade {name!r}: expected a text of at most {TEXT_CHARACTERS:,} characters, found"
            f" {len(text):,}"
        )


def template(text: str, name: str = "cascade") -> Template:
    """What the text says, before any number is bound to it; `name` is for its errors alone."""
    try:
        return _template(text)
    except InputError:
        return _read(text, name)


@lru_cache(maxsize=4096)
@across
def _template(text: str) -> Template:
    return _read(text, "cascade")


def _read(text: str, name: str) -> Template:
    from hwmodel.einsum.parsed import parsed  # loads the parser, which a kept template needs not

    form = parsed(text, name)
    verify(form.outline(name), STRUCTURE_RULES)
    return form
