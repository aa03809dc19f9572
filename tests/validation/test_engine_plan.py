"""`hwmodel calibrate --engine vllm` with a fake engine: a host that was planted comes back."""

import json
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import load_calibration
from hwmodel.machines.gpu.engines.step import finished, step_of
from hwmodel.machines.gpu.engines.vllm import ENGINE
from hwmodel.validation.engine_fit import rested
from hwmodel.validation.engine_plan import EngineOutcome, Served, calibrate_engine
from hwmodel.validation.users_gpu import inherited, own_device
from tests.validation.test_plan import FACTS

PLAN = (Served("qwen2.5-0.5b"), Served("qwen3-0.6b", "fp8"))
PLANTED = {"step": 0.004, "kernel": 0.0001, "alone": 0.006}
STEPS = (
    *(("decode", batch, 700) for batch in (1, 16, 128)),
    *(("prefill", 1, prompt) for prompt in (128, 512, 1024, 8192)),
)


class FakeEngine:
    """Answers with the model's own steps on a host that was planted."""

    def __init__(self) -> None:
        self.measured: list[str] = []
        relative = hw.device("h100")
        gpu = own_device(FACTS, relative)
        self.gpu = gpu.model_copy(update={"calibration": inherited(relative, gpu.name)})

    def __call__(self, served: Served, folder: Path) -> None:
        self.measured.append(served.name)
        lines = [self.step(served, *each) for each in STEPS]
        (folder / f"{served.name}.steps.jsonl").write_text("".join(map(line, lines)))
        (folder / f"{served.name}.kernels.jsonl").write_text("")
        (folder / f"{served.name}.engine.json").write_text(json.dumps({"model": served.name}))
        (folder / "header.json").write_text(json.dumps(dict(FACTS)))

    def step(self, served: Served, phase: str, batch: int, length: int) -> dict[str, Any]:
        model = hw.model(served.model, weight_dtype=served.quantization or None)
        made = (model.decode if phase == "decode" else model.prefill)(batch, length)
        step, costs = step_of(made, self.gpu, ENGINE), {**ENGINE.host.values, **PLANTED}
        parts = finished(step, rested(made, self.gpu, ENGINE), self.gpu, costs)
        size = {"context" if phase == "decode" else "prompt": length}
        time_s = sum(float(part.times * part.time_s) for part in parts)
        return {"model": served.name, "phase": phase, "batch": batch, "time_s": time_s, **size}


def line(row: dict[str, Any]) -> str:
    return json.dumps({"tensor_parallel": 1, **row}) + "\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeEngine, Path, EngineOutcome]:
    fake, folder = FakeEngine(), tmp_path_factory.mktemp("own") / "gpu"
    found = calibrate_engine(folder, plan=PLAN, find=lambda: FACTS, measure=fake)
    return fake, folder, found


def test_the_planted_host_comes_back(run: tuple[FakeEngine, Path, EngineOutcome]) -> None:
    _, folder, found = run
    host = load_calibration(folder / "calibration.yaml").family(ENGINE.family)
    assert host.origin == "measured"
    for name, value in PLANTED.items():
        assert host.values[name] == pytest.approx(value, rel=0.25)
    assert found.families[ENGINE.family][1].mean_error < 0.02
    assert f"--on {folder} --engine vllm" in str(found)


def test_predictions_on_the_folder_wait_for_that_host(
    run: tuple[FakeEngine, Path, EngineOutcome],
) -> None:
    _, folder, _ = run
    step = hw.model("qwen2.5-0.5b").decode(1, 700)
    assert hw.predict(step, on=folder, engine="vllm").time_s == pytest.approx(0.004, rel=0.15)


def test_models_that_were_measured_are_not_measured_again(
    run: tuple[FakeEngine, Path, EngineOutcome],
) -> None:
    fake, folder, found = run
    assert fake.measured == [served.name for served in PLAN]
    again = calibrate_engine(folder, plan=PLAN, find=lambda: FACTS, measure=fake)
    assert fake.measured == [served.name for served in PLAN]
    assert again.families.keys() == found.families.keys()


def test_an_engine_that_is_not_measured_is_refused(tmp_path: Path) -> None:
    """Shipped or not: vLLM would have been measured under its name."""
    for name in ("sglang", "trtllm", "hf"):
        with pytest.raises(hw.HwmodelError, match=f"unknown engine to measure '{name}'"):
            calibrate_engine(tmp_path, name, find=lambda: FACTS)
