"""`hwmodel map` and `hwmodel bound --einsum`: what is read, what is printed, what is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.quantity.errors import HwmodelError, InputError, UnknownNameError
from hwmodel.verbs.einsums import pairs
from hwmodel.verbs.request import builder, machine_for
from hwmodel.verbs.request import read as read_request

PRODUCT = "Z[m,n] = A[m,k] * B[k,n]"
RANKS = "m=1024,n=1024,k=1024"
ASKED = ("--einsum", PRODUCT, "--ranks", RANKS, "--dtype", "int8", "--memory", "buffer=128KiB")


def printed(*arguments: str) -> str:
    run = CliRunner().invoke(app, arguments)
    if run.exception is not None and not isinstance(run.exception, SystemExit):
        raise run.exception
    assert run.exit_code == 0
    return run.output


def test_the_answer_as_json() -> None:
    record = json.loads(printed("map", *ASKED, "--objective", "traffic", "--json"))
    assert record["traffic_bytes"] == 7_340_032
    assert record["tiles"] == {"m": 342, "n": 342, "k": 1}
    assert record["optimal_in_mapspace"] is True
    assert record["solve_time_s"] > 0
    divisors = json.loads(printed("map", *ASKED, "--mapspace", "divisors", "--json"))
    assert divisors["traffic_bytes"] == 9_437_184


def test_a_named_machine_with_a_changed_memory() -> None:
    named = json.loads(printed("map", *ASKED[:6], "--on", "peer-a2", "--json"))
    assert named["traffic_bytes"] == 7_340_032
    larger = json.loads(
        printed("map", *ASKED[:6], "--on", "peer-a2", "--memory", "buffer=1MiB", "--json")
    )
    assert larger["traffic_bytes"] < 7_340_032


def test_the_bound_in_text_and_json() -> None:
    record = json.loads(printed("bound", *ASKED, "--json"))
    assert 3 * 2**20 <= record["bound_bytes"] <= 7_340_032
    assert "cross the dram boundary" in printed("bound", *ASKED)


def test_what_a_kib_more_is_worth_stands_beside_every_bound() -> None:
    """Of 2MNK/sqrt(S): 1 KiB more of 128 takes away a 256th, less the KiB."""
    answers = (("map", *ASKED), ("bound", *ASKED))
    (mapped,), (bounded,) = (json.loads(printed(*a, "--json"))["sensitivity"] for a in answers)
    assert mapped == bounded
    saved = mapped["bytes_saved_per_kib"]
    assert saved == pytest.approx(2 * 2**30 / (128 * 1024) ** 0.5 / 256 - 1024, rel=0.01)
    assert mapped["time_saved_per_kib_s"] == pytest.approx(saved / 16e9)
    assert "1 KiB more inside dram takes" in printed(*answers[0])
    assert "1 KiB more inside saves" in printed(*answers[1])


def test_a_workload_is_bound_on_a_machine_of_memories_and_with_other_capacities() -> None:
    asked = ("bound", "gemm", "M=1024", "N=1024", "K=1024", "dtype=int8", "--json")
    named = json.loads(printed(*asked, "--on", "peer-a2", "--memory", "buffer=64KiB"))
    by_einsum = json.loads(printed("bound", *ASKED[:-1], "buffer=64KiB", "--json"))
    assert named["levels"][0]["fast_bytes"] == by_einsum["levels"][0]["fast_bytes"] == 65536
    assert named["time_s"] == pytest.approx(2**30 / 1e9)  # one MAC a cycle at 1 GHz
    large = ("bound", "gemm", "M=16384", "N=16384", "K=16384", "--on", "h200", "--json")
    whole, less = (json.loads(printed(*large, *m)) for m in ((), ("--memory", "l2=10MiB")))
    assert less["dram_bytes"] > whole["dram_bytes"]
    assert less["sensitivity"][0]["level"] == "dram"


def test_tiles_of_a_gpu_are_ranked_without_running_them() -> None:
    asked = ("map", "--cascade", "gemm", "--ranks", "M=4096,N=4096,K=4096", "--on", "h200")
    tiles = json.loads(printed(*asked, "--json"))["tiles"]
    times = [each["time_s"] for each in tiles]
    assert times == sorted(times)
    assert "tiles of our Triton kernel" in printed(*asked)
    for extra, words in (
        (("--double",), "double: mapper map_launches of a machine of kind 'gpu' takes kernel"),
        (("--objective", "traffic"), "objective 'traffic'; known: latency"),
        (("--picture", "tiles.png"), "expected a loop nest to draw"),
    ):
        with pytest.raises(InputError, match=words):
            printed(*asked, *extra)


def test_the_drawing_goes_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "nest.png"
    printed("map", *ASKED, "--picture", str(path))
    assert path.stat().st_size > 5_000


def test_buffers_with_tensors_of_their_own() -> None:
    memories = ("--memory", "sums(Z)=100B", "--memory", "inputs(A,B)=20B")
    text = printed(
        "map", "--einsum", PRODUCT, "--ranks", "m=40,n=40,k=40", "--dtype", "int8", *memories
    )
    assert "14,400 bytes cross" in text
    assert "keep Z in sums" in text


def read(**fields: Any) -> Any:
    """The cascade that these fields mean, whose machine is read too."""
    fixed = read_request(fields).fixed
    machine_for(fixed)
    return builder(fixed)({})


def test_a_cascade_from_a_file_or_by_name(tmp_path: Path) -> None:
    path = tmp_path / "chain.txt"
    path.write_text("T[m, n] = A[m, k] * B[k, n]\nZ[m, n] = exp(T[m, n])\n")
    chain = read(cascade=str(path), ranks="m=4,n=4,k=4", dtype="A=int4,*=int8")
    assert (chain.name, chain.tensors["A"].dtype) == ("chain", "int4")
    assert chain.tensors["B"].dtype == "int8"
    named = read(cascade="gemm", ranks="M=8,N=8,K=8", dtype="bf16")
    assert named.einsums[0].ranks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"einsum": [PRODUCT], "cascade": "gemm"}, "one of --einsum and --cascade"),
        ({"cascade": "gemm", "ranks": "M=4,dtype=int8", "dtype": "int8"}, "--dtype: given twice"),
        ({"cascade": "gemm", "ranks": "M=4", "dtype": "A=int8"}, "one format for the workload"),
        ({"einsum": [PRODUCT], "ranks": "m:4"}, "--ranks: expected NAME=VALUE, found 'm:4'"),
        ({"einsum": [PRODUCT], "ranks": "m=4,m=5"}, "--ranks: m is given twice"),
        ({"einsum": [PRODUCT], "ranks": "m=4,n=4,k=4", "memory": ["128KiB"]}, "NAME=SIZE"),
        (
            {"einsum": [PRODUCT], "ranks": "m=4,n=4,k=4", "memory": ["b=1KiB", "b=2KiB"]},
            "each memory once",
        ),
        (
            {"einsum": [PRODUCT], "ranks": "m=4,n=4,k=4", "memory": ["b=1 parsec"]},
            "a size such as '16 MiB'",
        ),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(**options)


def test_names_that_do_not_exist_are_answered_with_those_that_do() -> None:
    with pytest.raises(UnknownNameError, match="memory of peer-a2 'l2'; known: buffer, dram"):
        read(einsum=[PRODUCT], ranks="m=4,n=4,k=4", on="peer-a2", memory=["l2=1KiB"])
    with pytest.raises(UnknownNameError, match="workload or file of a cascade"):
        read(cascade="no such thing")
    with pytest.raises(HwmodelError, match="einsum: unknown field 'context'"):
        printed("bound", *ASKED, "--context", "5")
    with pytest.raises(InputError, match="for a dataflow, mapspace='weight-stationary'"):
        printed("map", *ASKED, "--kernel", "weight-stationary")


def test_values_are_numbers_or_words() -> None:
    assert pairs("a=3, b=true,c=zipf", "--ranks") == {"a": 3, "b": True, "c": "zipf"}


def test_nothing_that_fits_ends_with_status_3() -> None:
    command = (sys.executable, "-m", "hwmodel", "map", *ASKED[:-1], "buffer=2B")
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 3
    assert "needs 3 bytes of buffer, which has 2; 3 bytes would suffice" in run.stderr
    assert "Traceback" not in run.stderr


def test_forms_of_a_softmax_are_compared() -> None:
    sizes = "batch=1,heads=1,queries=4,keys=8,head_dim=2,passes=3"
    asked = ("map", "--cascade", "attention", "--ranks", sizes, "--memory", "buffer=64KiB")
    forms = json.loads(printed(*asked, "--forms", "--json"))
    moved = {form["form"]: form["traffic_bytes"] for form in forms}
    assert list(moved.values()) == sorted(moved.values())
    assert moved["as given"] == json.loads(printed(*asked, "--json"))["traffic_bytes"]
    assert {"recompute", "two-pass, tiles of 8", "one-pass, tiles of 8"} <= set(moved)
    assert printed(*asked, "--forms").startswith(forms[0]["form"])
    assert "compared by `forms`" in printed(*asked).replace("\n           ", " ")
    with pytest.raises(HwmodelError, match="no other form to compare"):
        printed("map", *ASKED, "--forms")


def test_a_front_is_a_table_or_a_list() -> None:
    asked = ("map", "--einsum", PRODUCT, "--ranks", "m=8,n=8,k=8", "--dtype", "int8", "--front")
    points = json.loads(printed(*asked, "--json"))
    moved = [point["traffic_bytes"] for point in points]
    assert moved == sorted(set(moved))
    assert moved[0] == 3 * 64
    assert f"{len(points)} mappings, none of which another beats" in printed(*asked)
