"""The command line: `hwmodel predict | bound | compare | map | devices | validate | calibrate`.

What to predict is a model's config (a path, or a shipped name such as llama-3.1-8b) with a phase
and its sizes, or a workload with fields of its own: `hwmodel predict gemm M=4096 N=4096 K=4096 --on
h200`. Exit status: 0 ok, 1 internal error, 2 bad input, 3 does not fit, 130 interrupted.
"""

import contextlib
import json
import os
import sys
from inspect import Parameter, Signature
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from hwmodel.completion import tables
from hwmodel.quantity.errors import HwmodelError, InputError, nearest
from hwmodel.quantity.extras import extras_told
from hwmodel.quantity.value import expectation
from hwmodel.verbs.ask import VERBS, Question, question

TRACEBACK = "HWMODEL_TRACEBACK"
"""Environment variable that asks for the traceback of an internal error."""

_USAGE: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""What typer raises for a command line that it cannot read; it has no public name there."""


class Verbs(TyperGroup):
    """The commands of `hwmodel.verbs.ask.VERBS`, each made from its question when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the table."""
        return [*VERBS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or None."""
        return made(cmd_name) if cmd_name in VERBS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is meant; a slip is told with the nearest."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = nearest(args[0], VERBS)
            hint = f"; did you mean {near[0]}?" if near else "; hwmodel -h lists all"
            ctx.fail(f"No such command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Each with what it answers, as completion says it: no verb is loaded to be listed."""
        told = tables()["verbs"]
        with formatter.section("Commands"):
            formatter.write_dl([(name, told[name]["help"]) for name in self.list_commands(ctx)])


HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

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
        from hwmodel.hardware.catalogue import newest_calibration

        typer.echo(f"hwmodel {__version__}, calibrations up to {newest_calibration()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, in SI units.")]
SaveAs = Annotated[
    str | None, typer.Option("--save", help="A file for its rows: .csv, .parquet, .md, .json.")
]


def made(verb: str) -> Any:
    """The command of a verb: its parameters are the fields of the verb's question."""
    kind = question(verb)

    def run(**words: Any) -> None:
        as_json, saved = words.pop("as_json"), words.pop("save_as")
        given = {name: value for name, value in words.items() if value not in (None, [], ())}
        status = kind.instead(given)
        if status is not None:
            raise typer.Exit(status)
        picture = given.pop(kind.drawn, None)
        asked = kind.said(given)
        answer = asked.answer()
        if picture is not None:
            asked.draw(answer, picture)
        if saved is not None:
            asked.save(answer, saved)
        _print_json(asked.record(answer)) if as_json else typer.echo(asked.text(answer))
        if status := asked.status(answer):
            raise typer.Exit(status)

    json_too = Parameter("as_json", Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)
    save_too = Parameter("save_as", Parameter.KEYWORD_ONLY, default=None, annotation=SaveAs)
    run.__signature__ = Signature([*parameters(kind), save_too, json_too])  # pyright: ignore[reportFunctionMemberAccess]
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
        if word.value:
            continue
        field = kind.model_fields[name]
        flags = [word.flag] if word.flag else []
        described: dict[str, Any] = {"help": word.help}
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


def _print_json(record: Any) -> None:
    """Print an answer; each table of fields says of which version they are, and who gave it."""
    from hwmodel import __version__
    from hwmodel.show.json import versioned

    told = versioned(record, hwmodel_version=__version__)
    typer.echo(json.dumps(told, indent=2, allow_nan=False))


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
        with extras_told():
            status = typer.main.get_command(app).main(prog_name="hwmodel", standalone_mode=False)
    except HwmodelError as error:
        _told(error, str(error))
        _complained(str(error))
        sys.exit(error.exit_status)
    except _USAGE as error:  # words that the command line does not know
        error.message = expectation(error.message)
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
