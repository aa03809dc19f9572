"""Tree: a fused loop tree as the search finds it, and as the mapping that it stands for.

A branch is loops with tiles, what is kept inside of which of them, and the row of branches or the
one Einsum within. Batch ranks stand outermost, one point at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.fusion.form import Form
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping, Nest, Node, Split


@dataclass(frozen=True)
class Branch:
    """A subtree as found: loops with tiles, keeps as (tensor, loops outside of it), then its row.

    A branch without a row computes the one Einsum `first`.
    """

    first: int
    last: int
    loops: tuple[tuple[str, int], ...]
    keeps: tuple[tuple[str, int], ...]
    row: tuple["Branch", ...] = ()
    slides: frozenset[str] = frozenset()
    """Tensors of which what the next turn needs again stays."""


def subtrees(row: tuple[Branch, ...]) -> Iterator[Branch]:
    """All subtrees of a row, outermost first."""
    for branch in row:
        yield branch
        yield from subtrees(branch.row)


def mapping_of(
    cascade: Cascade, hardware: Hardware, form: Form, tree: Branch, level: str
) -> Mapping:
    """The tree as a mapping, batch ranks outermost."""
    outer: list[Node] = [Loop(rank, 1) for rank, size in form.batch if size > 1]
    return Mapping(cascade.name, hardware.name, (*outer, *_nest(form, tree, level)))


def _nest(form: Form, branch: Branch, level: str) -> Nest:
    nodes: list[Node] = []
    for depth in range(len(branch.loops) + 1):
        nodes += [
            replace(_keep(form, name, level), slides=name in branch.slides)
            for name, at in branch.keeps
            if at == depth
        ]
        if depth < len(branch.loops):
            rank, tile = branch.loops[depth]
            if tile < form.sizes[rank]:
                nodes.append(Loop(rank, tile))
    if branch.row:
        nests: list[Nest] = []
        for inner in branch.row:
            nest = _nest(form, inner, level)
            only = nest[0]
            nests += only.branches if isinstance(only, Split) else (nest,)
        nodes.append(Split(tuple(nests)))
    else:
        nodes.append(Compute(form.items[branch.first].name))
    return tuple(nodes)


def _keep(form: Form, name: str, level: str) -> Keep:
    return Keep(name, level, double=form.tensors[name].steps > 1)


def fused_words(form: Form, tree: Branch) -> str:
    """Which Einsums run fused."""
    shared = tree.loops or not tree.row or any(size > 1 for _, size in form.batch)
    row = (tree,) if shared else tree.row
    groups = [form.items[branch.first : branch.last + 1] for branch in row]
    return "fused: " + "; ".join(" + ".join(item.name for item in group) for group in groups)
