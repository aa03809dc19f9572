"""One record a verb: in Python, as a command, as a line and in a study it answers the same."""

import json
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

import hwmodel as hw
from hwmodel.cli import app
from hwmodel.quantity.errors import HwmodelError, InputError, UnknownNameError
from hwmodel.show.json import plain
from hwmodel.verbs.ask import VERBS, Question, ask, pair, question, several
from hwmodel.verbs.cases import predict_lines
from hwmodel.verbs.study import Case, study
from hwmodel.verbs.work import OfWork
from tests.thorough import but, but_first, thorough

GEMM = {"workload": "gemm", "M": 256, "N": 512, "K": 1024, "on": "h200"}
STEP = {
    **{"workload": "llm", "config": "llama-3.2-1b", "phase": "decode", "batch": 4},
    **{"context": 1000, "on": "h200", "tp": 2},
}
EINSUM = {
    "einsum": ["Z[m,n] = A[m,k] * B[k,n]"],
    "ranks": "m=256,n=512,k=1024",
    "dtype": "bf16",
    "on": "h200",
}
RING = {"workload": "collective", "op": "all_reduce", "bytes": 2**20, "ranks": 8, "on": "h200"}
BEYOND = STEP | {"tp": 16, "topology": "dgx-h100:nodes=2"}
"""A model over more devices than one switch joins."""

WHOLE = {name: value for name, value in STEP.items() if name != "tp"}
DIVIDED = WHOLE | {"parallel": {"tp": 2}}

TWO = ["h200", "b200"]

ASKED: list[tuple[str, dict[str, Any]]] = [
    *(("predict", work) for work in (GEMM, STEP, EINSUM, RING)),
    ("predict", {**GEMM, "memory": ["l2=10MB"]}),
    *((verb, BEYOND) for verb in ("predict", "bound")),
    ("compare", {**BEYOND, "on": ["h200"]}),
    *((verb, DIVIDED) for verb in ("predict", "bound")),
    ("compare", {**DIVIDED, "on": TWO}),
    *(("bound", work) for work in (GEMM, STEP, EINSUM)),
    *(("compare", {**work, "on": TWO}) for work in (GEMM, STEP, EINSUM, RING)),
    ("explain", {**GEMM, "on": ["h200"]}),
    ("sensitivity", {**EINSUM, "swing": 0.1}),
    ("parallelise", WHOLE | {"devices": 2}),
    ("map", {**EINSUM, "on": "peer-a2", "memory": ["buffer=16KiB"]}),
    ("map", GEMM),
    ("collective", {name: value for name, value in RING.items() if name != "workload"}),
    ("devices", {"name": "h200"}),
    ("models", {"name": "llama-3.2-1b"}),
    ("kernels", {}),
    ("doctor", {}),
    ("energy", {"name": "horowitz-2014", "node": 7}),
    ("papers", {"names": ["expert_order"]}),
    ("patches", {"network": "mcunet-vww1", "on": "stm32f412"}),
    (
        "split",
        {"network": "resnet50", "on": "raspberry-pi-4", "server": "xeon-8380", "rate": "2 MB/s"},
    ),
    ("attention-units", {"on": ["b200"], "head_dim": [128]}),
    ("program", {"program": "examples/best_of_n.yaml", "on": "h200", "batch": 2}),
]
LONG: list[tuple[str, dict[str, Any]]] = [
    *(("explain", {**work, "on": ["h200"]}) for work in (EINSUM, RING)),
    ("explain", {**GEMM, "on": TWO}),
    ("sensitivity", {**GEMM, "swing": 0.1}),
    ("sensitivity", {**RING, "ranks": 16, "topology": "dgx-h100:nodes=2"}),
    ("explain", {**BEYOND, "on": ["h200"]}),
    ("sensitivity", DIVIDED),
    ("explain", {**DIVIDED, "on": TWO}),
]
"""Of dozens of predictions each, or a hundred."""

ALONE = ("plot", "report", "profile", "place", "deploy", "sweep", "validate", "calibrate")
"""Verbs that write or read files, or search or measure for minutes: their own tests walk them."""
IN_STUDIES = ("predict", "bound", "explain", "sensitivity")
SLOW = ("calibrate", "validate", "sweep", "place", "profile", "papers", "program")
"""Verbs whose examples need a GPU, minutes, or files: their own tests run them."""


def said(value: Any) -> str:
    """A value as a word of a command: `tp=2` of a table."""
    if not isinstance(value, dict):
        return str(value)
    return ",".join(f"{n}={v}" for n, v in cast(dict[str, Any], value).items())


def words(kind: type[Question], fields: Mapping[str, Any]) -> list[str]:
    """A command's words for these fields."""
    known, rest = kind.words(), dict(fields)
    what = rest.pop("config", None) or rest.pop("workload", None)
    rest.pop("workload", None)
    found: list[str] = [] if what is None else [what]
    for name, value in rest.items():
        if name not in known:
            found.append(f"{name}={value}")
        elif known[name].place:
            found += map(str, several(value))
        else:
            flag = known[name].flag or "--" + name.replace("_", "-")
            for each in several(value):
                found += [flag, said(each)]
    return found


def same(one: Any, other: Any) -> None:
    """Equal, but for who answered."""
    assert told(one) == told(other)


ABOUT = ("schema", "hwmodel_version", "solve_time_s")
"""Who answered, and how long a search took."""


@cache
def in_words(verb: str, fields: str) -> Any:
    """The record of a question in words, which several tests compare with other ways to ask."""
    given = json.loads(fields)
    return question(verb).read(given).record(ask(verb, **given))


def told(answer: Any) -> Any:
    """What JSON keeps of an answer, or of each of a list, but for what is `ABOUT` it."""
    read = json.loads(json.dumps(plain(answer)))
    if isinstance(read, list):
        return [told(each) for each in cast(list[Any], read)]
    return {k: v for k, v in read.items() if k not in ABOUT}


@pytest.mark.parametrize(("verb", "fields"), but_first(len(ASKED), ASKED + LONG))
def test_python_command_line_and_study_answer_alike(verb: str, fields: dict[str, Any]) -> None:
    kind = question(verb)
    asked = kind.read(fields)
    record = in_words(verb, json.dumps(fields))
    (line,) = predict_lines([json.dumps({"verb": verb, **fields})])
    run = CliRunner().invoke(app, [verb, *words(kind, fields), "--json"], catch_exceptions=False)
    printed = json.loads(run.stdout)
    same(record, printed)
    if verb == "predict":  # many lines are one call: fields with one value a point
        assert line == {name: record[name] for name in line}
    else:
        same(record, line)
    devices = several(fields.get("on"))
    if verb in IN_STUDIES and len(devices) == 1:
        (on,) = devices
        same(record, asked.record(Case(json.dumps({"verb": verb, **fields, "on": on}))()))


def values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What Python is given for these fields: the work and the device as values."""
    rest = dict(fields)
    sizes = rest.pop("memory", None)
    on = rest.pop("on")
    parallel = rest.get("parallel", {"tp": rest.get("tp", 1)})
    machines = [hw.device(name) * parallel["tp"] for name in several(on)]
    if sizes is not None:
        (name, size), (machine,) = sizes[0].split("="), machines
        machines = [machine.but(**{name: {"capacity": size}})]
    if rest.get("workload") == "llm":
        step = hw.model(rest["config"]).decode(rest["batch"], rest["context"])
        joined = {"topology": rest["topology"]} if "topology" in rest else {}
        return {"workload": step, "on": machines, "parallel": parallel, **joined}
    if "einsum" in rest:
        ranks = {n: int(v) for n, v in (pair.split("=") for pair in rest["ranks"].split(","))}
        text, dtypes = "\n".join(rest["einsum"]), {"*": rest["dtype"]}
        work = hw.parse(text, sizes=ranks, dtypes=dtypes, name="einsum")
        return {"workload": work, "on": machines}
    own = {name: value for name, value in rest.items() if name.isupper()}
    return {"workload": hw.workloads.gemm(**own), "on": machines}


def work_is_one(verb: str, fields: Mapping[str, Any]) -> bool:
    """Whether Python asks it of one value: communication and two devices have other functions."""
    if verb == "parallelise":  # of as many of the device as Python gives
        return False
    return "op" not in fields and not (verb == "explain" and len(fields["on"]) == 2)


OF_WORK = [(v, f) for v, f in ASKED if issubclass(question(v), OfWork) and work_is_one(v, f)]


@pytest.mark.parametrize(
    ("verb", "fields"),
    but_first(len(OF_WORK), OF_WORK + [(v, f) for v, f in LONG if work_is_one(v, f)]),
)
def test_values_in_python_answer_as_words_do(verb: str, fields: dict[str, Any]) -> None:
    kind = question(verb)
    given = values(fields) | {name: v for name, v in fields.items() if name == "swing"}
    if verb != "compare":
        (given["on"],) = given["on"]
    answer, told = getattr(hw, verb)(**given), in_words(verb, json.dumps(fields))
    asked = kind.read(fields)
    same(asked.record(answer), told)
    same(asked.record(ask(verb, **given)), told)


@pytest.mark.parametrize("verb", ["predict", "bound", "compare", "explain", "sensitivity"])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"parallel": {"zero": 2}}, "parallel: zero=2 is of a step of training"),
        ({"parallel": {"tpp": 2}}, "unknown kind of parallelism 'tpp'.*did you mean 'tp'"),
        ({"parallel": "tp=2"}, "parallel: expected a table such as"),
        ({"parallel": {"tp": 2}, "tp": 2}, "llm: tp: given twice, as tp=2 and in parallel"),
    ],
)
def test_a_division_that_cannot_be_is_refused_by_every_verb(
    verb: str, fields: dict[str, Any], said: str
) -> None:
    on: Any = ["h200"] if verb in ("compare", "explain") else "h200"
    asked = {name: value for name, value in STEP.items() if name != "tp"} | {"on": on, **fields}
    with pytest.raises(HwmodelError, match=said):
        ask(verb, **asked)


def test_a_division_is_no_size_nor_passed_over(tmp_path: Path) -> None:
    told = {name: value for name, value in DIVIDED.items() if name != "parallel"}
    one, two, half = predict_lines([json.dumps(each) for each in (told, DIVIDED, STEP)])
    assert two["time_s"] == half["time_s"] < one["time_s"]
    (alone,) = predict_lines([json.dumps({**GEMM, "parallel": {"tp": 2}})])
    assert "tp divides a model's prefill or decode" in alone["error"]
    trained = {**DIVIDED, "parallel": {"zero": 2}}
    with pytest.raises(HwmodelError, match="zero=2 is of a step of training"):
        ask("explain", **{**trained, "on": TWO})
    with pytest.raises(HwmodelError, match="zero=2 is of a step of training"):
        ask("plot", kind="breakdown", out=str(tmp_path / "a.svg"), **trained)


@pytest.mark.parametrize("more", [{"topology": "dgx-h100:nodes=2"}, {"parallel": {"tp": 2}}])
@pytest.mark.parametrize("also", [{}, {"front": True}])
def test_a_map_of_one_device_refuses_what_joins_several(
    more: dict[str, Any], also: dict[str, Any]
) -> None:
    (name,) = more
    said = f"map: {name}: expected none, since the work of one device is mapped, found"
    with pytest.raises(InputError, match=said):
        ask("map", **{**EINSUM, "on": "peer-a2"}, **more, **also)
    if name == "topology" and not also:
        with pytest.raises(InputError, match=said):
            hw.map(hw.workloads.gemm(64, 64, 64), on="h200", topology=more["topology"])
        words = ["map", "gemm", "M=64", "N=64", "K=64", "--on", "h200"]
        with pytest.raises(InputError, match=said):
            CliRunner().invoke(app, [*words, "--topology", "dgx-h100"], catch_exceptions=False)


def test_communication_in_python_answers_as_words_do() -> None:
    told: dict[str, Any] = {name: value for name, value in RING.items() if name != "workload"}
    assert hw.collective(**told).time_s == ask("collective", **told).time_s


def test_every_verb_is_walked() -> None:
    assert {verb for verb, _ in ASKED} == set(VERBS) - set(ALONE)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_what_it_is_for_and_shows_an_example(verb: str) -> None:
    kind = question(verb)
    run = CliRunner().invoke(app, [verb, "--help"], catch_exceptions=False)
    assert run.exit_code == 0
    assert kind.verb == verb
    assert kind.example.split()[0] == verb
    text = " ".join(run.stdout.split())
    assert f"Such as: hwmodel {kind.example}" in text
    assert (kind.__doc__ or "").splitlines()[0] in text


@pytest.mark.parametrize(
    "verb",
    but(("deploy", "report"), [v for v in VERBS if v not in SLOW]),
)
def test_examples_answer(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, shlex.split(question(verb).example), catch_exceptions=False)
    assert run.exit_code == 0
    assert run.stdout


@pytest.mark.parametrize(
    ("verb", "fields", "said"),
    [
        ("predicted", GEMM, "unknown verb 'predicted'"),
        ("sensitivity", {**GEMM, "swing": "much"}, "sensitivity: swing: expected a valid number"),
        ("compare", {"workload": "gemm"}, "compare: expected the field 'on', found none"),
        ("bound", {**GEMM, "swing": 0.2}, "gemm: unknown field 'swing'"),
        ("collective", {**RING}, "collective: unknown field 'workload'"),
        ("plot", {**GEMM, "kind": "roofline", "out": "a.png"}, "found 'plot', which writes"),
    ],
)
def test_a_line_says_what_its_verb_refuses(verb: str, fields: dict[str, Any], said: str) -> None:
    good, bad = predict_lines([json.dumps(each) for each in (GEMM, {"verb": verb, **fields})])
    assert good["time_s"] > 0
    assert said in bad["error"]


def test_a_study_may_be_of_collectives_einsums_and_bounds(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    told = {"case": {k: v for k, v in RING.items() if k != "bytes"}, "axes": {"bytes": [1e6, 1e9]}}
    path.write_text(json.dumps(told))
    plan = study(path)
    found = hw.sweep(plan.function, bytes=[1e6, 1e9]).table
    alone = hw.collective("all_reduce", 1e9, 8, on="h200")
    assert found["time_s"][1] == pytest.approx(alone.time_s)
    case = {"verb": "bound", **{k: v for k, v in GEMM.items() if k != "M"}}
    path.write_text(json.dumps({"case": case, "axes": {"M": [64, 128]}}))
    found = hw.sweep(study(path).function, M=[64, 128]).table
    assert found["dram_bytes"].to_list() == [
        2 * (m * 512 + m * 1024 + 512 * 1024) for m in (64, 128)
    ]
    path.write_text(json.dumps({"case": {**case, "verb": "collective"}, "axes": {"M": [64]}}))
    with pytest.raises(InputError, match="verb: expected one about a workload on a device"):
        study(path)


def test_libraries_are_chosen_by_family() -> None:
    work = hw.model("llama-3.2-1b").prefill(1, 4096)
    step = {"workload": "llm", "config": "llama-3.2-1b", "phase": "prefill", "batch": 1}
    asked = {**step, "prompt": 4096, "on": "h200"}
    expected = hw.predict(work, on="h200", kernel={"attention": "cudnn"}).time_s
    assert ask("predict", **asked, kernel="attention=cudnn").time_s == expected
    assert ask("predict", **asked, kernel={"attention": "cudnn"}).time_s == expected
    assert ask("predict", **asked).time_s != expected


def test_another_memory_is_another_machine() -> None:
    work = hw.workloads.gemm(M=8192, N=8192, K=8192)
    small = ask("bound", workload="gemm", M=8192, N=8192, K=8192, on="h200", memory=["l2=1MB"])
    expected: Any = hw.bound(work, hw.device("h200").but(l2={"capacity": "1 MB"}))
    assert small.dram_bytes == expected.dram_bytes
    whole: Any = hw.bound(work, "h200")
    assert small.dram_bytes > whole.dram_bytes


def test_a_name_that_is_no_verb_is_refused_with_those_that_are() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown verb 'predit'.*did you mean 'predict'"):
        ask("predit")
    with pytest.raises(HwmodelError, match="unknown verb"):
        question(3)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("verb", "more", "said"),
    [
        ("predict", {"M": 3}, "predict: M: expected no words about the work beside a workload"),
        ("bound", {"tp": 2}, "bound: tp: expected no words .* found 2"),
        ("compare", {"on": ["h200"], "batch": 2}, "compare: batch: expected no words"),
        ("explain", {"dtype": "fp8"}, "explain: dtype: expected no words"),
    ],
)
def test_words_beside_a_workload_as_a_value_are_refused(
    verb: str, more: dict[str, Any], said: str
) -> None:
    work = hw.workloads.gemm(M=64, N=64, K=64)
    with pytest.raises(InputError, match=said):
        ask(verb, **{"workload": work, "on": "h200", **more})


def test_values_among_words_are_refused_with_where_they_go() -> None:
    with pytest.raises(InputError, match=r"gemm: on: expected words .*found Hardware; it goes"):
        ask("predict", workload="gemm", M=64, N=64, K=64, on=hw.device("h200"))


def test_numbers_of_a_list_are_said_with_commas() -> None:
    assert pair("padding=1,1,0,0") == ("padding", [1, 1, 0, 0])
    assert pair("attention=cudnn,triton") == ("attention", "cudnn,triton")


def test_sizes_and_names_are_taken_as_people_write_them() -> None:
    assert hw.collective("all_reduce", "1 MB", 8, "h200").time_s == (
        hw.collective("all_reduce", 1e6, 8, "h200").time_s
    )
    with pytest.raises(InputError, match="collective: bytes: "):
        hw.collective("all_reduce", "1 MB/s", 8, "h200")
    assert hw.papers("expert_order") == hw.papers(["expert_order"])


@pytest.mark.parametrize("kind", ["breakdown", thorough("roofline"), thorough("tornado")])
def test_what_is_drawn_is_joined_as_it_says(kind: str, tmp_path: Path) -> None:
    """Sixteen devices are more than one switch joins: a topology is asked that has them."""
    file = tmp_path / "drawn.svg"
    assert ask("plot", kind=kind, out=str(file), **BEYOND) == str(file)
    assert file.read_text(encoding="utf-8").endswith("</svg>\n")
    with pytest.raises(InputError, match="needs 16 devices; dgx-h100 has 8"):
        ask("plot", kind=kind, out=str(file), **{**BEYOND, "topology": "dgx-h100"})
