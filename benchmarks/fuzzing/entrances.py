"""Entrances: each makes a case at random, which is an input to show and a call that answers it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.fuzzing.changes import (
    PYTHON_ODD,
    Random,
    as_json,
    broken_path,
    bytes_changed,
    changed,
    odd,
    text_changed,
    written,
)
from benchmarks.fuzzing.face import FACE, called, commanded
from benchmarks.fuzzing.seeds import (
    CASES,
    COMMANDS,
    EINSUMS,
    STUDY,
    STUDY_TEXT,
    TOPOLOGY,
    routing_seeds,
)
from hwmodel.quantity.errors import HwmodelError


@dataclass
class Case:
    """What is put in, as it is reported, and the call that answers it."""

    shown: Any
    call: Callable[[], Any]


@dataclass
class Fuzz:
    """Seeds and a folder to write in."""

    folder: Path
    network: Path | None = None
    cache: dict[str, Any] = field(default_factory=dict)

    def cases(self, rng: Random) -> Case:
        from hwmodel.verbs.cases import INTERNAL, predict_lines

        lines = [as_json(rng.choice(CASES)) for _ in range(3)]
        for place in rng.sample(range(3), rng.randrange(1, 3)):
            tree = changed(dict(rng.choice(CASES)), rng)
            text = as_json(tree)
            lines[place] = text if rng.random() < 0.8 else text_changed(text, rng)
        whole = [place for place, line in enumerate(lines) if line in self.answered()]

        def call() -> None:
            answers = predict_lines(lines)
            if len(answers) != len(lines):
                raise AssertionError("a line was lost")
            for place, answer in enumerate(answers):
                if not answer or INTERNAL in answer.get("error", ""):
                    raise AssertionError(f"{answer.get('error', 'no answer')}: {lines[place]}")
                json.dumps(answer, allow_nan=False)
            for place in whole:
                if "error" in answers[place]:
                    raise AssertionError(
                        f"lost by its neighbours: {lines[place]}: {answers[place]}"
                    )

        return Case(lines, call)

    def answered(self) -> frozenset[str]:
        """Seed cases that the package answers when they stand alone."""
        if "answered" not in self.cache:
            from hwmodel.verbs.cases import predict_lines

            lines = [as_json(case) for case in CASES]
            found = zip(lines, predict_lines(lines), strict=True)
            self.cache["answered"] = frozenset(x for x, answer in found if "error" not in answer)
        return self.cache["answered"]

    def notation(self, rng: Random) -> Case:
        text, sizes = rng.choice(EINSUMS)
        given: Any = dict(sizes)
        dtypes: Any = {"*": "bf16"}
        if rng.random() < 0.7:
            text = text_changed(text, rng)
        if rng.random() < 0.5:
            given = changed(given, rng, PYTHON_ODD)
        if rng.random() < 0.2:
            dtypes = changed(dtypes, rng, PYTHON_ODD)

        def call() -> None:
            from hwmodel.einsum.notation import parse
            from hwmodel.machines.driver import predict
            from hwmodel.verbs.bound import bound

            made = parse(text, sizes=given, dtypes=dtypes)
            for verb, machine in ((predict, "h200"), (bound, "peer-a2")):
                try:
                    str(verb(made, machine))
                except HwmodelError:
                    continue

        return Case((text, given, dtypes), call)

    def config(self, rng: Random) -> Case:
        if "configs" not in self.cache:
            from hwmodel.einsum.workloads.config import SHIPPED

            paths = sorted(SHIPPED.glob("*.json"))
            self.cache["configs"] = [json.loads(path.read_text("utf-8")) for path in paths]
        tree = changed(rng.choice(self.cache["configs"]), rng)
        text = as_json(tree) if rng.random() < 0.8 else text_changed(as_json(tree), rng)
        path = written(self.folder / "config.json", text, rng)
        source: Any = tree if rng.random() < 0.2 else path
        if rng.random() < 0.03:
            source = broken_path(self.folder, rng, ".json")

        def call() -> None:
            from hwmodel.einsum.workloads.model import model

            read = model(source)
            str(read), read.parameters, read.weight_bytes
            read.decode(2, 64)

        return Case(text, call)

    def device(self, rng: Random) -> Case:
        if "devices" not in self.cache:
            from hwmodel.hardware.catalogue import CATALOGUE

            names = ("h200", "a100", "fusemax", "stm32h743", "peer-a2", "cortex-a76")
            found = [CATALOGUE / f"{name}.yaml" for name in names]
            texts = [path.read_text("utf-8") for path in found if path.is_file()]
            self.cache["devices"] = [(text, yaml.safe_load(text)) for text in texts]
        text, tree = rng.choice(self.cache["devices"])
        if rng.random() < 0.6:
            text = as_json(changed(tree, rng))
        else:
            text = text_changed(text, rng)
        path = written(self.folder / "device.yaml", text, rng)
        given: Any = broken_path(self.folder, rng, ".yaml") if rng.random() < 0.03 else path

        def call() -> None:
            from hwmodel.hardware.catalogue import device
            from hwmodel.machines.driver import predict

            machine = device(given)
            told = str(predict(self.gemm(), machine))
            if "\x1b" in told:
                raise AssertionError("an escape sequence in str()")

        return Case(text, call)

    def gemm(self) -> Any:
        from hwmodel.einsum.workloads.gemm import gemm

        return gemm(M=64, N=64, K=64)

    def study(self, rng: Random) -> Case:
        text = text_changed(STUDY_TEXT, rng)
        if rng.random() < 0.6:
            text = as_json(changed(dict(STUDY), rng))
        path = written(self.folder / "study.yaml", text, rng)

        def call() -> None:
            from hwmodel.sweeps.run import run
            from hwmodel.verbs.study import study

            plan = study(path)
            if plan.grid.blocks * plan.grid.rows <= 2_000:
                str(run(plan, progress=False))

        return Case(text, call)

    def topology(self, rng: Random) -> Case:
        text = text_changed(TOPOLOGY, rng)
        if rng.random() < 0.6:
            text = as_json(changed(yaml.safe_load(TOPOLOGY), rng))
        path = written(self.folder / f"topology{rng.choice(('.yaml', '.json'))}", text, rng)

        def call() -> None:
            from hwmodel.network.topologies import topology
            from hwmodel.verbs.collective import collective

            str(collective("all_reduce", 1e6, 4, "h200", topology=topology(path)))

        return Case(text, call)

    def routing(self, rng: Random) -> Case:
        if "routing" not in self.cache:
            self.cache["routing"] = routing_seeds()
        ending, data = rng.choice(self.cache["routing"])
        if ending == ".csv" and rng.random() < 0.7:
            data = text_changed(data.decode(), rng).encode("utf-8", "surrogatepass")
        elif rng.random() < 0.9:
            data = bytes_changed(data, rng)
        path = self.folder / f"routing{ending}"
        path.write_bytes(data)
        options = changed({"kind": None, "experts": None, "domains": []}, rng, PYTHON_ODD)

        def call() -> None:
            from hwmodel.experts.traces import read_routing

            known = {n: v for n, v in options.items() if n in ("kind", "experts", "domains")}
            read_routing(path, **(known if rng.random() < 0.3 else {}))

        return Case((ending, data[:2000]), call)

    def placement(self, rng: Random) -> Case:
        tree = {"devices": 2, "layers": {"0": [0, 1, 0, 1], "1": [1, 0, 1, 0]}}
        text = as_json(changed(tree, rng))
        path = written(self.folder / "placement.json", text, rng)

        def call() -> None:
            from hwmodel.experts.placement import read_placement

            read_placement(path)

        return Case(text, call)

    def place(self, rng: Random) -> Case:
        if "placed" not in self.cache:
            from hwmodel.experts.statistics import from_traces, planted

            trace = planted(layers=2, experts=8, group=4, share=0.8, tokens=64, seed=1)
            self.cache["placed"] = from_traces([trace])
        options: Any = {"devices": 2, "nodes": 1, "objective": "crossings", "slack": 0, "gap": 0.0}
        options |= {"token_bytes": 4096, "tokens": 64, "choices": 1, "token_s": 0.0, "seed": 0}
        options |= {"slots": None, "pinned": None, "forbidden": None, "memory": None}
        given = changed(options, rng, PYTHON_ODD)
        given = {str(name): value for name, value in given.items()} if given else {}
        given["time_limit_s"] = 0.05

        def call() -> None:
            from hwmodel.verbs.place import place

            str(place(self.cache["placed"], **given))

        return Case(given, call)

    def tflite(self, rng: Random) -> Case:
        data = b"\x1c\0\0\0TFL3" + rng.randbytes(rng.choice((0, 8, 200)))
        if self.network is not None:
            if "network" not in self.cache:
                self.cache["network"] = self.network.read_bytes()
            data = bytes_changed(self.cache["network"], rng)
        path = self.folder / "network.tflite"
        path.write_bytes(data)

        def call() -> None:
            from hwmodel.einsum.workloads.cnn import cnn

            cnn(str(path))

        return Case(f"{len(data)} bytes", call)

    def folder_of_sweep(self, rng: Random) -> Case:
        from hwmodel.sweeps.axes import each
        from hwmodel.sweeps.run import sweep

        seed = self.folder / "swept"
        axes = {"x": np.arange(50.0), "y": each([1.0, 2.0])}

        def function(x: Any, y: Any) -> Any:
            return {"z": x * y}

        if not seed.is_dir():
            sweep(function, axes, chunk=20, out=seed, progress=False)
        made = self.folder / "again"
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(seed, made)
        files = sorted(made.iterdir())
        touched = rng.choice(files)
        kind = rng.random()
        if kind < 0.15:
            touched.unlink()
        elif kind < 0.3:
            touched.write_bytes(b"")
        elif kind < 0.4:
            touched.write_bytes(rng.choice(files).read_bytes())
        elif kind < 0.5:
            (made / f".{touched.name}.0.tmp").write_bytes(b"x")
        elif touched.suffix == ".parquet" or kind < 0.6:
            touched.write_bytes(bytes_changed(touched.read_bytes(), rng))
        elif touched.suffix == ".json":
            touched.write_text(as_json(changed(json.loads(touched.read_text()), rng)))
        else:
            touched.write_bytes(text_changed(touched.read_text(), rng).encode("utf-8", "replace"))

        def call() -> None:
            from hwmodel.sweeps.files import open_sweep

            for read in (
                lambda: open_sweep(made),
                lambda: sweep(function, axes, chunk=20, out=made, progress=False),
            ):
                try:
                    found = read()
                except HwmodelError:
                    continue
                table = found.table if found.parts else None
                if table is not None and found.complete:
                    wrong = table["z"] != table["x"] * table["y"]
                    if len(table) != 100 or bool(wrong.any()):
                        raise AssertionError("wrong rows from a damaged folder")

        return Case((touched.name, kind), call)

    def command(self, rng: Random) -> Case:
        words = rng.choice(COMMANDS).split()
        for _ in range(rng.randrange(1, 4)):
            at, kind = rng.randrange(len(words)), rng.random()
            if kind < 0.4:
                words[at] = str(odd(rng))[:5000]
            elif kind < 0.5:
                del words[at]
            elif kind < 0.75 and "=" in words[at]:
                words[at] = f"{words[at].partition('=')[0]}={str(odd(rng))[:5000]}"
            elif kind < 0.85:
                words[at] = text_changed(words[at], rng)[:5000]
            else:
                words.insert(at, rng.choice(("--json", "--on", "--kernel", "-1", "--tp", "h200")))
            if not words:
                break
        words = [word.replace("\0", "") for word in words]
        if any(word in ("calibrate", "papers", "validate", "--out", "--picture") for word in words):
            words = ["devices"]

        def call() -> None:
            status, told = commanded(words)
            if status not in (0, 2, 3):
                raise AssertionError(f"exit status {status}: {told[-2000:]}")

        return Case(words, call)

    def face(self, rng: Random) -> Case:
        name, seed = rng.choice(FACE)
        given = changed(seed, rng, PYTHON_ODD)
        given = {str(key): value for key, value in given.items()} if isinstance(given, dict) else {}
        known = {key: value for key, value in given.items() if key in seed}

        def call() -> None:
            str(called(name, known))

        return Case((name, known), call)

    def quantity(self, rng: Random) -> Case:
        from hwmodel.quantity.units import DIMENSIONS

        dimension = rng.choice((*DIMENSIONS, None))
        value = text_changed(rng.choice(("4.8 TB/s", "16 MiB", "1e-3 s", "5")), rng)
        given = value if rng.random() < 0.5 else odd(rng, PYTHON_ODD)
        options = {"zero": rng.random() < 0.5, "whole": rng.random() < 0.5}

        def call() -> None:
            from hwmodel.quantity.units import amount

            amount(given, dimension, **options)

        return Case((given, dimension, options), call)
