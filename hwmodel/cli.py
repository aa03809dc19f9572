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
from typing import Annotated, Any, NoReturn, cast

import typer

from hwmodel.quantity.errors import CapacityError, HwmodelError, InputError, UnknownNameError

TRACEBACK = "HWMODEL_TRACEBACK"
"""Environment variable that asks for the traceback of an internal error."""

_USAGE: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""What typer raises for a command line that it cannot read; it has no public name there."""

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
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


def _devices(begun: str) -> list[str]:
    """Names of shipped devices, for shells that complete words."""
    from hwmodel.hardware.catalogue import devices

    return [name for name in devices() if name.startswith(begun)]


def _works(begun: str) -> list[str]:
    """Names of workloads and of shipped models."""
    from hwmodel.einsum.workloads.config import shipped_configs
    from hwmodel.verbs.request import workloads

    return [name for name in (*workloads(), *shipped_configs()) if name.startswith(begun)]


What = Annotated[
    str | None,
    typer.Argument(
        help="A model config (path or shipped name), or a workload such as gemm.",
        autocompletion=_works,
    ),
]
Fields = Annotated[
    list[str] | None, typer.Argument(help="Fields of a workload: M=4096 N=4096 dtype=fp8.")
]
OnOne = Annotated[
    str | None,
    typer.Option("--on", help="A device's name, or its YAML file.", autocompletion=_devices),
]
OnMany = Annotated[
    list[str],
    typer.Option("--on", help="A device; give one or more.", autocompletion=_devices),
]
Phase = Annotated[str | None, typer.Option(help="decode or prefill, of a model.")]
Batch = Annotated[int | None, typer.Option(help="Sequences at a time, of a model (default 1).")]
Context = Annotated[int | None, typer.Option(help="Keys that a new token attends to (decode).")]
Prompt = Annotated[int | None, typer.Option(help="Tokens of each prompt (prefill).")]
Dtype = Annotated[str | None, typer.Option(help="Number format: bf16, fp16, fp8, ...")]
Part = Annotated[str | None, typer.Option(help="Format of this part alone.")]
Kernel = Annotated[str | None, typer.Option(help="Library whose kernels run (default torch).")]
Ways = Annotated[int | None, typer.Option(help="Devices that divide a model (tensor parallel).")]
Ignore = Annotated[
    list[str] | None, typer.Option("--ignore-key", help="A key of the config to pass over.")
]
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


@app.command()
def predict(
    what: What = None,
    fields: Fields = None,
    on: OnOne = None,
    phase: Phase = None,
    batch: Batch = None,
    context: Context = None,
    prompt: Prompt = None,
    dtype: Dtype = None,
    weight_dtype: Part = None,
    kv_dtype: Part = None,
    activation_dtype: Part = None,
    kernel: Kernel = None,
    tp: Ways = None,
    ignore_key: Ignore = None,
    einsum: EinsumText = None,
    cascade: CascadeName = None,
    ranks: Ranks = None,
    memory: Memories = None,
    as_json: AsJson = False,
    cases: Annotated[
        str | None, typer.Option(help="A file of cases, one JSON object a line.")
    ] = None,
    out: Annotated[str | None, typer.Option(help="Where answers to --cases go.")] = None,
    picture: Annotated[
        str | None, typer.Option(help="A file for where time and energy go: .png, .svg, .pdf.")
    ] = None,
) -> None:
    """Time, energy, traffic and memory of a workload on a device."""
    given = _given(locals())
    if cases is not None:
        extra = [name for name in given if name not in ("cases", "out")]
        if extra:
            raise InputError(f"--cases: expected no other argument but --out, found {extra[0]!r}")
        from hwmodel.verbs.cases import predict_file

        raise typer.Exit(predict_file(cases, out))
    if out is not None:
        raise InputError("--out: expected --cases with it; it is where answers to cases go")
    given.pop("picture", None)
    if einsum or cascade is not None:
        from hwmodel.verbs import map as map_command

        estimate = map_command.predicted(given)
    else:
        _need_no(given, "ranks", "memory")
        estimate = _estimate(_request(given))
    if picture is not None:
        from hwmodel.verbs.plot import of_estimate

        of_estimate(estimate, on, picture)
    if as_json:
        from hwmodel.show.json import full_record

        _print_json(full_record(estimate))
    else:
        typer.echo(str(estimate))
    if not estimate.fits:
        raise typer.Exit(CapacityError.exit_status)


@app.command()
def bound(
    what: What = None,
    fields: Fields = None,
    on: OnOne = None,
    phase: Phase = None,
    batch: Batch = None,
    context: Context = None,
    prompt: Prompt = None,
    dtype: Dtype = None,
    weight_dtype: Part = None,
    kv_dtype: Part = None,
    activation_dtype: Part = None,
    kernel: Kernel = None,
    tp: Ways = None,
    ignore_key: Ignore = None,
    einsum: EinsumText = None,
    cascade: CascadeName = None,
    ranks: Ranks = None,
    memory: Memories = None,
    as_json: AsJson = False,
) -> None:
    """Least traffic at each memory level that any schedule of a workload needs."""
    given = _given(locals())
    if einsum or cascade is not None:
        from hwmodel.verbs import map as map_command

        loose = map_command.bound(given)
        return _print_json(loose.record()) if as_json else typer.echo(str(loose))
    from hwmodel.verbs import answer as verbs
    from hwmodel.verbs.request import builder, machine, read

    given.pop("memory", None)
    _need_no(given, "ranks")
    request = read(_request(given))
    work, ways = builder(request.fixed)(request.sizes), request.fixed.get("tp")
    on_one = machine(request.fixed["on"], ways)
    if memory:
        from hwmodel.verbs.map import resized

        on_one = resized(on_one, memory)
    found = verbs.bound(work, on_one, kernel=request.fixed.get("kernel"))
    if as_json:
        from hwmodel.show.json import full_record

        _print_json(full_record(found))
    else:
        typer.echo(str(found))


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


@app.command("patches")
def map_patches(
    network: Annotated[str, typer.Argument(help="A network's name, or a .tflite file.")],
    on: Annotated[str, typer.Option("--on", help="A microcontroller's name, or its YAML file.")],
    fields: Annotated[list[str] | None, typer.Argument(help="resolution=160 width=0.35")] = None,
    objective: Annotated[
        str | None, typer.Option(help="latency (default), energy, traffic or sram.")
    ] = None,
    sram: Annotated[str | None, typer.Option(help="A limit: 192KiB (default: all of it).")] = None,
    kernel: Kernel = None,
    picture: Annotated[str | None, typer.Option(help="A file for SRAM by layer.")] = None,
    as_json: AsJson = False,
) -> None:
    """The patches by which a network fits a microcontroller best, with a proof."""
    given = _given(locals())
    from hwmodel.verbs import patches as patches_command

    answer = patches_command.mapped(given, dict(_pair(text) for text in fields or []))
    if picture is not None:
        from hwmodel.show.pictures.arena import draw

        draw(answer.schedule, picture, sram_bytes=answer.sram_bytes, in_place=answer.in_place)
    if as_json:
        _print_json(answer.record())
    else:
        typer.echo(str(answer))
    if not answer.estimate.fits:
        raise typer.Exit(CapacityError.exit_status)


@app.command()
def split(
    network: Annotated[str, typer.Argument(help="resnet152, bottlefit-3, mobilenetv2, ...")],
    on: Annotated[str, typer.Option("--on", help="The device, such as raspberry-pi-4.")],
    server: Annotated[str, typer.Option(help="The machine at the other end of the link.")],
    rate: Annotated[str, typer.Option(help="Of the link: 2MB/s or 16Mb/s.")],
    round_trip: Annotated[str, typer.Option(help="Of the link.")] = "5 ms",
    transmit: Annotated[str, typer.Option(help="Power of the device's radio.")] = "1 W",
    picture: Annotated[str | None, typer.Option(help="A file for latency by cut.")] = None,
    as_json: AsJson = False,
) -> None:
    """Where to cut a network between a device and a server, and at which link rates."""
    given = _given(locals())
    from hwmodel.verbs import split as split_command

    answer = split_command.from_command(given)
    if as_json:
        _print_json(answer.record())
    else:
        typer.echo(str(answer))


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


@app.command()
def compare(
    on: OnMany,
    what: What = None,
    fields: Fields = None,
    phase: Phase = None,
    batch: Batch = None,
    context: Context = None,
    prompt: Prompt = None,
    dtype: Dtype = None,
    weight_dtype: Part = None,
    kv_dtype: Part = None,
    activation_dtype: Part = None,
    kernel: Kernel = None,
    tp: Ways = None,
    ignore_key: Ignore = None,
    as_json: AsJson = False,
) -> None:
    """The same workload on several devices, side by side."""
    request = _request(_given(locals()))
    from functools import partial

    from hwmodel.verbs.answer import answered
    from hwmodel.verbs.request import machine

    asked = [(machine(name).title, partial(_estimate, {**request, "on": name})) for name in on]
    found = answered(asked)
    if as_json:
        from hwmodel.show.json import full_record

        records = [full_record(estimate) for estimate in found.estimates]
        for refused in found.refused:
            records.insert(refused.place, {"device": refused.device, "error": refused.why})
        _print_json(records)
    else:
        typer.echo(str(found))
    if found.refused:
        raise typer.Exit(InputError.exit_status)


@app.command()
def explain(
    on: OnMany,
    what: What = None,
    fields: Fields = None,
    phase: Phase = None,
    batch: Batch = None,
    context: Context = None,
    prompt: Prompt = None,
    dtype: Dtype = None,
    weight_dtype: Part = None,
    kv_dtype: Part = None,
    activation_dtype: Part = None,
    kernel: Kernel = None,
    tp: Ways = None,
    ignore_key: Ignore = None,
    as_json: AsJson = False,
) -> None:
    """Why a prediction is what it is; with two devices, why they differ."""
    given = _given(locals())
    from hwmodel.verbs import explain as explain_command

    found = explain_command.explained(_request(given), on)
    _print_json(found.record()) if as_json else typer.echo(str(found))


@app.command()
def sensitivity(
    what: What = None,
    fields: Fields = None,
    on: OnOne = None,
    phase: Phase = None,
    batch: Batch = None,
    context: Context = None,
    prompt: Prompt = None,
    dtype: Dtype = None,
    weight_dtype: Part = None,
    kv_dtype: Part = None,
    activation_dtype: Part = None,
    kernel: Kernel = None,
    tp: Ways = None,
    ignore_key: Ignore = None,
    swing: Annotated[float, typer.Option(help="Share by which numbers fall and rise.")] = 0.2,
    break_even: Annotated[
        str | None, typer.Option(help="A number, such as hbm.bandwidth: where what binds changes.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="With it: what binds on one side.")] = None,
    picture: Annotated[str | None, typer.Option(help="A file for the tornado chart.")] = None,
    as_json: AsJson = False,
) -> None:
    """How time and energy follow each number of a device, one at a time."""
    given = _given(locals())
    options = {n: given.pop(n, None) for n in ("swing", "break_even", "to", "picture")}
    from hwmodel.verbs import explain as explain_command

    number = options.pop("break_even")
    found = explain_command.moved(_request(given), number=number, **options)
    _print_json(found.record()) if as_json else typer.echo(str(found))


@app.command()
def plot(
    kind: Annotated[
        str, typer.Argument(help="roofline, breakdown, tornado; pareto, heatmap; parity.")
    ],
    out: Annotated[str, typer.Option(help="The picture's file: .png, .svg, .pdf.")],
    what: Annotated[
        str | None, typer.Argument(help="As in predict; of pareto and heatmap a sweep's folder.")
    ] = None,
    fields: Fields = None,
    on: OnOne = None,
    phase: Phase = None,
    batch: Batch = None,
    context: Context = None,
    prompt: Prompt = None,
    dtype: Dtype = None,
    weight_dtype: Part = None,
    kv_dtype: Part = None,
    activation_dtype: Part = None,
    kernel: Kernel = None,
    tp: Ways = None,
    ignore_key: Ignore = None,
    x: Annotated[str | None, typer.Option(help="Column of a sweep, across.")] = None,
    y: Annotated[str | None, typer.Option(help="Column of a sweep, up.")] = None,
    value: Annotated[str | None, typer.Option(help="Column that a heat map colours.")] = None,
    most: Annotated[
        list[str] | None, typer.Option(help="Of a front: a column of which more is better.")
    ] = None,
    colour: Annotated[str | None, typer.Option(help="Of a front: the column of groups.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Rows of a sweep that are drawn: 'M = 64'.")
    ] = None,
) -> None:
    """A picture of a prediction, of a sweep, or of how wrong predictions are."""
    given = _given(locals())
    from hwmodel.verbs import plot as plot_command

    plot_command.draw(given, _request)
    typer.echo(f"wrote {out}")


@app.command()
def sweep(
    study: Annotated[str, typer.Argument(help="A study: a YAML file of a case and its axes.")],
    out: Annotated[str | None, typer.Option(help="A folder for Parquet files.")] = None,
    chunk: Annotated[int | None, typer.Option(help="Rows of a file, about.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes (default: as it pays).")] = None,
    dask: Annotated[str | None, typer.Option(help="The address of a Dask scheduler.")] = None,
    front: Annotated[
        str | None, typer.Option(help="Print the front of these: time_s,energy_j.")
    ] = None,
    most: Annotated[
        list[str] | None, typer.Option(help="Of a front: a column of which more is better.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A study's points, evaluated: a table, or files that a second run goes on with."""
    from hwmodel.verbs.sweep import sweep_file

    least = front.split(",") if front else ()
    answer = sweep_file(
        study, out=out, chunk=chunk, workers=workers, dask=dask, front=least, most=most or ()
    )
    if as_json:
        from hwmodel.show.json import plain

        _print_json(plain(answer.record()))
    else:
        typer.echo(str(answer))


@app.command()
def devices(
    name: Annotated[str | None, typer.Argument(help="A device's name, or its YAML file.")] = None,
    as_json: AsJson = False,
) -> None:
    """The devices that are known; with a name, every number of one and its source."""
    from hwmodel.hardware.catalogue import device as load
    from hwmodel.hardware.catalogue import devices as shipped

    shown = [load(each) for each in ([name] if name else shipped())]
    if as_json:
        from hwmodel.show.json import device_record

        records = [device_record(device) for device in shown]
        _print_json(records[0] if name else records)
    else:
        from hwmodel.show.datasheet import device_text
        from hwmodel.show.text import devices_text

        typer.echo(device_text(shown[0]) if name else devices_text(shown))


@app.command("kernels")
def kernels_table(as_json: AsJson = False) -> None:
    """What each library's kernels take: formats, GPUs, head dimensions, alignments."""
    from hwmodel.verbs import kernels as kernels_command

    if as_json:
        _print_json(kernels_command.record())
    else:
        typer.echo(kernels_command.kernels_text())


@app.command()
def energy(
    name: Annotated[str | None, typer.Argument(help="A table (default: their names).")] = None,
    node: Annotated[int | None, typer.Option(help="Scaled to this process, in nm.")] = None,
    rule: Annotated[str, typer.Option(help="tables (45 to 7 nm) or gates (180 to 7).")] = "tables",
    as_json: AsJson = False,
) -> None:
    """Joules of operations and memory accesses by process node, each with its source."""
    from hwmodel.hardware.energy_tables import scaled, table, table_text, tables, tables_text

    if name is None:
        if node is not None:
            raise InputError(f"--node: expected a table to scale, one of {', '.join(tables())}")
        return _print_json(list(tables())) if as_json else typer.echo(tables_text())
    found = table(name) if node is None else scaled(table(name), node, rule=rule)
    if as_json:
        from hwmodel.show.json import plain

        return _print_json(plain(found))
    typer.echo(table_text(found))


@app.command()
def validate(
    on: Annotated[str, typer.Option("--on", help="A device that was measured.")] = "h200",
    pictures: Annotated[
        str | None, typer.Option(help="A folder for parity and residual plots.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How wrong the predictions are, on measured shapes that no fit has seen."""
    from hwmodel.verbs import validate as accuracy

    found = accuracy.validate(on)
    if pictures is not None:
        from pathlib import Path

        from hwmodel.validation.pictures import draw

        folder = Path(pictures)
        folder.mkdir(parents=True, exist_ok=True)
        draw(found.judged, folder / f"{on}-parity.png", f"{found.device}: shapes never fitted")
    if as_json:
        from hwmodel.show.json import plain

        _print_json({"device": found.device, **{k: plain(getattr(found, k)) for k in _TABLES}})
    else:
        typer.echo(str(found))


@app.command("attention-units")
def attention_units(
    on: Annotated[list[str] | None, typer.Option("--on", help="A GPU; repeat.")] = None,
    head_dim: Annotated[list[int] | None, typer.Option(help="64, 128, 256; repeat.")] = None,
    picture: Annotated[str | None, typer.Option(help="A file for the clocks as bars.")] = None,
    as_json: AsJson = False,
) -> None:
    """Which unit of a GPU limits FlashAttention-4, and what each of its tricks buys."""
    from hwmodel.hardware.catalogue import device
    from hwmodel.machines.gpu import attention_units as found_units

    machines = [device(name) for name in on or found_units.MACHINES]
    found = found_units.survey(machines, head_dim or found_units.HEAD_DIMS)
    if picture is not None:
        from hwmodel.show.pictures.attention_units import draw

        draw(found, picture)
    if as_json:
        _print_json([each.record() for each in found])
    else:
        typer.echo(found_units.survey_text(found))


@app.command()
def papers(
    names: Annotated[list[str] | None, typer.Argument(help="Systems (default: all).")] = None,
    as_json: AsJson = False,
) -> None:
    """Published claims, recomputed by the model; exit status 1 where one does not hold."""
    from hwmodel.verbs import papers as papers_command

    claims = papers_command.papers(names or ())
    if as_json:
        _print_json(papers_command.record(claims))
    else:
        typer.echo(papers_command.papers_text(claims))
    if not all(claim.holds for claim in claims):
        raise typer.Exit(1)


@app.command()
def calibrate(
    out: Annotated[str, typer.Option(help="A folder for the device and its calibration.")],
    device: Annotated[
        str, typer.Option(help="The relative in the catalogue; auto finds the nearest.")
    ] = "auto",
) -> None:
    """Measure this machine's GPU and fit it, in stages; run it again to go on where it stopped."""
    from hwmodel.validation.plan import calibrate_device

    typer.echo(str(calibrate_device(out, device)))


_TABLES = ("lines", "traffic", "energy_errors")


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a command that were given."""
    return {k: v for k, v in arguments.items() if v not in (None, [], ()) and k != "as_json"}


def _request(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a command's arguments mean; a name that is no workload is a model's."""
    from hwmodel.verbs.request import PHASES, workloads

    rest = dict(given)
    what, pairs, ignored = (
        rest.pop("what", None),
        rest.pop("fields", []),
        rest.pop("ignore_key", []),
    )
    if what is None:
        raise InputError(f"expected a model config or one of {', '.join(workloads())}, found none")
    fields: dict[str, Any] = {}
    for name, value in map(_pair, pairs):
        if name in fields:
            raise InputError(f"{name}: given twice, as {fields[name]!r} and as {value!r}")
        fields[name] = value
    for name in fields:
        if name in rest:
            raise InputError(f"{name}: given twice, as an option and as a field")
    if "on" not in rest:
        raise InputError("expected --on with a device's name or file, found none")
    if what in workloads():
        return {"workload": what, **fields, **rest}
    if what.endswith(".tflite"):
        return {"workload": "cnn", "network": what, **fields, **rest}
    _check_model(what, workloads())
    phases = [phase for phase, size in PHASES.items() if size in {**fields, **rest}]
    if not phases:
        raise InputError(f"{what}: expected --context (to decode) or --prompt (to prefill)")
    inferred = {"phase": phases[0]}
    model = {"workload": "llm", "config": what, "batch": 1, **inferred, **fields, **rest}
    return {**model, "ignore_keys": ignored} if ignored else model


def _need_no(given: Mapping[str, Any], *names: str) -> None:
    """Options that say something of Einsums alone."""
    for name in names:
        if name in given:
            raise InputError(f"--{name}: expected --einsum or --cascade with it, found neither")


def _check_model(what: str, workloads: tuple[str, ...]) -> None:
    """A bare word must be a shipped config, since it is no workload; a path is read later."""
    from hwmodel.einsum.workloads.config import shipped_configs

    known = (*shipped_configs(), *workloads)
    is_path = os.sep in what or what.endswith(".json") or os.path.exists(what)
    if not is_path and what.lower() not in known:
        raise UnknownNameError("model config or workload", what, known)


def _pair(text: str) -> tuple[str, Any]:
    """`M=4096` as a name and a number, a truth value or a word."""
    name, sign, value = text.partition("=")
    if not (sign and name and value):
        raise InputError(f"expected a field such as M=4096, found {text!r}")
    from hwmodel.quantity.reading import json_value

    try:
        return name, json_value(value)
    except InputError:
        return name, value


def _estimate(fields: Mapping[str, Any]) -> Any:
    from hwmodel.verbs.request import answerer, read

    request = read(fields)
    return answerer(request.form)(request.sizes)


def _print_json(record: Any) -> None:
    """Print an answer; one that is a table of fields says which version gave it."""
    if isinstance(record, dict):
        record = {**cast(dict[str, Any], record), "hwmodel_version": _own_version()}
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
