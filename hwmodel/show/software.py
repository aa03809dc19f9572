"""Kernel libraries and engines for people: what they run, and what their kernels take."""

from collections.abc import Iterable

from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.libraries.library import GENERATIONS, Library, Support
from hwmodel.quantity.units import show
from hwmodel.text.grid import grid, hanging
from hwmodel.text.markup import Table, answer_html

TAKES = ("schedules", "formats of both operands", "weights or keys in", "sizes")
HOST = ("cost of the host", "", "what it is")


def takes(line: Support) -> list[str]:
    """What some kernels take, in the columns `TAKES`."""
    places: dict[tuple[str, ...], list[str]] = {}
    for name, where in line.formats.items():
        places.setdefault(where, []).append(name)
    formats = (
        ", ".join(names) + ("" if where == GENERATIONS else f" on {', '.join(where)}")
        for where, names in places.items()
    )
    narrow = ", ".join(line.narrow) or "-"
    return [", ".join(line.schedules), "; ".join(formats), narrow, _sizes(line)]


def _sizes(line: Support) -> str:
    """Head dimensions and multiples."""
    heads = sorted(set(line.head_dim.values()))
    words = [f"head_dim to {heads[-1]}"] if heads else []
    words += [f"{line.query_rows} query rows of a KV head"] if line.query_rows else []
    for name, sizes in line.multiples.items():
        words.append(f"{name}: " + ", ".join(f"{size} of {of}s" for size, of in sizes.items()))
    return "; ".join(words) or "-"


def library_finding(library: Library) -> str:
    """Name, title and what it runs."""
    own = ", ".join(library.launches)
    called = ", ".join(
        f"{schedule} by {each if isinstance(each, str) else each.name}"
        for schedule, each in library.calls.items()
    )
    runs = "; ".join(filter(None, (own, called))) or "no kernel of its own"
    return f"{library.name}: {library.title}; {runs}"


def library_text(library: Library) -> str:
    """What its kernels take, and where that is read."""
    rows = [takes(line) for line in library.support]
    table = grid(TAKES, rows, left=range(len(TAKES))) if rows else "takes any format and size"
    return "\n\n".join((library_finding(library), table, *_sources(library)))


def library_html(library: Library) -> str:
    """The same for a notebook."""
    tables: list[Table] = [(TAKES, [takes(line) for line in library.support])]
    return answer_html(library_finding(library), tables, _sources(library))


def _sources(library: Library) -> list[str]:
    return [f"{', '.join(line.schedules)}: {line.source}" for line in library.support]


def engine_finding(engine: Engine) -> str:
    """Name, version and the libraries that run its kernels."""
    return f"{engine.name}: {engine.title} {engine.version}; {', '.join(_libraries(engine))}"


def engine_text(engine: Engine) -> str:
    """What it fuses, how it was started, and what its host costs until measured."""
    lines = "\n".join(hanging(f"{name:<10}{said}") for name, said in _facts(engine))
    return "\n\n".join((engine_finding(engine), lines, grid(HOST, _host(engine), left=(0, 2))))


def engine_html(engine: Engine) -> str:
    """The same for a notebook."""
    tables: list[Table] = [(("", ""), _facts(engine)), (HOST, _host(engine))]
    return answer_html(engine_finding(engine), tables)


def _libraries(engine: Engine) -> Iterable[str]:
    for family, each in engine.kernel.items():
        yield f"{family} by {each if isinstance(each, str) else each.name}"


def _facts(engine: Engine) -> list[list[str]]:
    memory = engine.memory
    return [
        ["fuses", ", ".join(dict.fromkeys(fusion.name for fusion in engine.fusions))],
        ["graphs", f"of up to {engine.graphs.largest:,} tokens"],
        ["memory", f"{memory.share:.0%} of the device, in blocks of {memory.block} tokens"],
        ["steps", f"{memory.most_tokens:,} tokens, {memory.most_sequences:,} requests at most"],
        ["started", ", ".join(engine.flags) or "-"],
    ]


def _host(engine: Engine) -> list[list[str]]:
    return [
        [name, f"{each.value:.3g}" if name == "dynamic" else show(each.value, "s"), each.meaning]
        for name, each in engine.host.parameters.items()
    ]
