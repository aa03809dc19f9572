"""The command line: `hwmodel predict | bound | compare | map | devices | validate | calibrate`.

What to predict is a model's config (a path, or a shipped name such as llama-3.1-8b) with a phase
and its sizes, or a workload with fields of its own: `hwmodel predict gemm M=4096 N=4096 K=4096 --on
h200`. Exit status: 0 ok, 1 internal error, 2 bad input, 3 does not fit, 130 interrupted.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup

from hwmodel.quantity.errors import HwmodelError, InputError
from hwmodel.verbs.ask import VERBS, Question, question

TRACEBACK = "HWMODEL_TRACEBACK"
"""Environment variable that asks for the traceback of an internal error."""

_USAGE: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""What typer raises for a command line that it cannot read; it has no public name there."""


class Verbs(TyperGroup):
    """The commands of `hwmodel.verbs.ask.VERBS`, each made from its question when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the table."""
        return [*VERBS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or None."""
        return made(cmd_name) if cmd_name in VERBS else super().get_command(ctx, cmd_name)


HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    context_settings=HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Predicts limits, time, energy and memory of workloads on hardware.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from hwmodel import __version__

        typer.echo(f"hwmodel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


Kernel = Annotated[str | None, typer.Option(help="Library whose kernels run (default torch).")]
EinsumText = Annotated[
    list[str] | None, typer.Option("--einsum", help='Such as "Z[m,n] = A[m,k] * B[k,n]".')
]
CascadeName = Annotated[
    str | None, typer.Option("--cascade", help="A file of Einsums, or a workload's name.")
]
Ranks = Annotated[str | None, typer.Option("--ranks", help="Sizes: m=1024,n=1024,k=1024.")]
Memories = Annotated[
    list[str] | None, typer.Option("--memory", help="buffer=128KiB, or inputs(A,B)=64KiB.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, in SI units.")]


def made(verb: str) -> Any:
    """The command of a verb: its parameters are the fields of the verb's question."""
    kind = question(verb)

    def run(**words: Any) -> None:
        as_json = words.pop("as_json")
        given = {name: value for name, value in words.items() if value not in (None, [], ())}
        status = kind.instead(given)
        if status is not None:
            raise typer.Exit(status)
        picture = given.pop(kind.drawn, None)
        asked = kind.said(given)
        answer = asked.answer()
        if picture is not None:
            asked.draw(answer, picture)
        _print_json(asked.record(answer)) if as_json else typer.echo(asked.text(answer))
        if status := asked.status(answer):
            raise typer.Exit(status)

    json_too = Parameter("as_json", Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)
    run.__signature__ = Signature([*parameters(kind), json_too])  # pyright: ignore[reportFunctionMemberAccess]
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    told, epilog = (kind.__doc__ or "").splitlines()[0], f"Such as: hwmodel {kind.example}"
    alone.command(verb, help=told, epilog=epilog, context_settings=HELP)(run)
    return typer.main.get_command(alone)


def parameters(kind: type[Question]) -> list[Parameter]:
    """The parameters of a command, as typer reads them."""
    found: list[Parameter] = []
    words, own = kind.words(), kind.__annotations__
    for name in sorted(words, key=lambda name: (not words[name].place, name not in own)):
        word = words[name]
        field = kind.model_fields[name]
        flags = [word.flag] if word.flag else []
        described: dict[str, Any] = {"help": word.help, "autocompletion": word.complete}
        as_word = typer.Argument(**described) if word.place else typer.Option(*flags, **described)
        read: Any = field.annotation if word.kind is None else word.kind
        if not field.is_required() and field.default is None and word.kind is not None:
            read = read | None
        default = Parameter.empty if field.is_required() else field.default
        annotation = Annotated[read, as_word]
        found.append(
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    return found


@app.command("map")
def map_nest(
    einsum: EinsumText = None,
    cascade: CascadeName = None,
    ranks: Ranks = None,
    dtype: Annotated[str | None, typer.Option(help="int8, or A=int4,*=int8.")] = None,
    memory: Memories = None,
    on: Annotated[str | None, typer.Option("--on", help="A machine (default peer-a2).")] = None,
    objective: Annotated[
        str | None, typer.Option(help="traffic (default), energy, latency or edp.")
    ] = None,
    mapspace: Annotated[
        str | None, typer.Option(help="uniform, divisors, pinned, interleaved.")
    ] = None,
    rules: Annotated[
        str | None, typer.Option(help="Accounting rules: overlap (default) or ports.")
    ] = None,
    double: Annotated[bool, typer.Option("--double", help="Keep every tile twice.")] = False,
    unfused: Annotated[bool, typer.Option("--unfused", help="Each Einsum by itself.")] = False,
    kernel: Annotated[
        str | None, typer.Option(help="Of a GPU: the Einsum, of several, whose tiles to rank.")
    ] = None,
    picture: Annotated[str | None, typer.Option(help="A file for a drawing of the nest.")] = None,
    front: Annotated[bool, typer.Option("--front", help="All that no other beats.")] = False,
    forms: Annotated[
        bool, typer.Option("--forms", help="A softmax in one, two and three passes, compared.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The best loop nest of a cascade, with a proof; on a GPU, tiles by predicted time."""
    given = {name: value for name, value in _given(locals()).items() if value is not False}
    from hwmodel.verbs import map as map_command

    if given.pop("front", False):
        points = map_command.front(given)
        if as_json:
            return _print_json([point.record() for point in points])
        from hwmodel.mappers.nests.front import front_text

        return typer.echo(front_text(points))
    if given.pop("forms", False):
        from hwmodel.mappers.fusion.compare import forms_record, forms_text

        answers = map_command.forms(given)
        return _print_json(forms_record(answers)) if as_json else typer.echo(forms_text(answers))
    given.pop("picture", None)
    mapped = map_command.mapped(given)
    if picture is not None:
        map_command.draw(mapped, picture)
    if as_json:
        _print_json(mapped.record())
    else:
        typer.echo(str(mapped))


@app.command()
def place(
    routing: Annotated[
        str, typer.Option(help="Traces, counts or loads: .npz, .parquet, .csv, .json.")
    ],
    devices: Annotated[int | None, typer.Option(help="Devices that hold experts.")] = None,
    nodes: Annotated[int | None, typer.Option(help="Nodes that the devices stand on.")] = None,
    topology: Annotated[str | None, typer.Option(help="A topology's name or file.")] = None,
    kind: Annotated[str | None, typer.Option(help="top1 or topk.")] = None,
    domain: Annotated[list[str] | None, typer.Option(help="Text to count; repeat.")] = None,
    experts: Annotated[int | None, typer.Option(help="Experts in each layer.")] = None,
    objective: Annotated[
        str | None, typer.Option(help="crossings (default), hops, load, seconds.")
    ] = None,
    token_bytes: Annotated[str | None, typer.Option(help="Bytes of a token on a link.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Tokens in a step (default 4096).")] = None,
    choices: Annotated[int | None, typer.Option(help="Experts of a token (default 1).")] = None,
    token_s: Annotated[float | None, typer.Option(help="Seconds of a token in an expert.")] = None,
    slots: Annotated[int | None, typer.Option(help="Places of a layer: copy hot experts.")] = None,
    slack: Annotated[int | None, typer.Option(help="Experts more or fewer on a device.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory of a device for experts.")] = None,
    expert_bytes: Annotated[str | None, typer.Option(help="Bytes of one expert.")] = None,
    shared_experts: Annotated[int | None, typer.Option(help="Held by every device.")] = None,
    pin: Annotated[list[str] | None, typer.Option(help="LAYER:EXPERT=DEVICE; repeat.")] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds of search.")] = 60.0,
    gap: Annotated[float | None, typer.Option(help="A proven gap to stop at.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the search.")] = None,
    picture: Annotated[str | None, typer.Option(help="A file for the placement drawn.")] = None,
    as_json: AsJson = False,
) -> None:
    """Experts on devices, so that few tokens cross, with a proven bound and its gap."""
    given = _given(locals())
    from hwmodel.verbs import place as place_command

    given.pop("picture", None)
    answer = place_command.from_command(given)
    if picture is not None:
        from hwmodel.show.pictures.placement import draw

        draw(answer.routing, answer.placement, picture)
    if as_json:
        _print_json(answer.record())
    else:
        typer.echo(str(answer))
    if answer.interrupted:
        raise typer.Exit(130)


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a command that were given."""
    return {k: v for k, v in arguments.items() if v not in (None, [], ()) and k != "as_json"}


def _print_json(record: Any) -> None:
    """Print an answer; one that is a table of fields says which version gave it."""
    from hwmodel.show.fields import SCHEMA

    if isinstance(record, dict):
        told = {"schema": SCHEMA, "hwmodel_version": _own_version()}
        record = {**cast(dict[str, Any], record), **told}
    typer.echo(json.dumps(record, indent=2, allow_nan=False))


def _own_version() -> str:
    from hwmodel import __version__

    return __version__


def _told(error: Exception, text: str) -> None:
    """An error for programs, where they asked for JSON: what it says and its kind."""
    if "--json" in sys.argv[1:]:
        try:
            _print_json({"error": text, "kind": type(error).__name__})
        except OSError as full:
            _unwritten(full)


def _complained(text: str) -> None:
    """A line on standard error, where that can be written."""
    with contextlib.suppress(OSError):
        typer.echo(f"error: {text}", err=True)


def _unwritten(error: OSError) -> int:
    """Say which output the system refused; what is left of standard output goes nowhere."""
    from hwmodel.quantity.reading import name_of, why

    if not isinstance(error, BrokenPipeError):  # a reader that has enough, such as `head`
        place = name_of(error.filename) if error.filename else "standard output"
        text = f"{place}: cannot be written or read: {why(error)}"
        if error.filename:
            _told(error, text)
        _complained(text)
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    return InputError.exit_status


def main() -> NoReturn:
    """Run the command line; what the package refuses becomes one line and an exit status."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        _complained("standard output: expected an open one, found it closed")
        sys.exit(InputError.exit_status)
    from hwmodel.text.grid import fit_terminal

    fit_terminal()
    try:
        status = typer.main.get_command(app).main(prog_name="hwmodel", standalone_mode=False)
    except HwmodelError as error:
        _told(error, str(error))
        _complained(str(error))
        sys.exit(error.exit_status)
    except _USAGE as error:  # words that the command line does not know
        _told(error, error.format_message())
        with contextlib.suppress(OSError):
            error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except OSError as error:  # a disk that is full, a folder that is not there
        if os.environ.get(TRACEBACK):
            raise
        sys.exit(_unwritten(error))
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        _told(error, f"internal: {error}")
        note = f"set {TRACEBACK}=1 for the traceback"
        _complained(f"internal: {type(error).__name__}: {error} ({note})")
        sys.exit(1)
    sys.exit(status or 0)
