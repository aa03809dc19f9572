"""Every study runs, draws its picture, and finds what can be worked out without the model.

The page holds what the studies print. Where that moves on purpose, write it and the pictures anew:

    python -m tests.examples.test_studies
"""

import contextlib
import importlib
import io
import math
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from tests.shown import missing
from tests.thorough import but, thorough

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
PAGE = ROOT / "docs" / "studies.md"
Run = tuple[dict[str, Any], str, Path]


def run(name: str, picture: Path) -> Run:
    """Names of a study, what it printed, and its picture."""
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    given, sys.argv = sys.argv, [name, str(picture)]
    printed = io.StringIO()
    try:
        with pyplot.rc_context(), contextlib.redirect_stdout(printed):
            names = runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    finally:
        sys.argv = given
        pyplot.close("all")
    return names, printed.getvalue(), picture


def shown(name: str, page: str) -> str:
    """What the page says that a study prints; its picture stands in the same section."""
    section = page.split(f"examples/{name}.py")[1].split("\n## ")[0]
    assert f"(pictures/{name}.png)" in section
    return section.split("```text\n")[1].split("```")[0]


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {}


@pytest.fixture
def study(
    request: pytest.FixtureRequest,
    runs: dict[str, Run],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """A study that has run; each does once."""
    name = str(request.param)
    if name not in runs:
        runs[name] = run(name, tmp_path_factory.mktemp(name) / "picture.png")
    return runs[name]


LONG = ("smallest_mcu", "sram_for_attention")


def of(name: str) -> Any:
    return pytest.mark.parametrize(
        "study", [thorough(name) if name in LONG else name], indirect=True
    )


@pytest.mark.parametrize("study", but(LONG, STUDIES), indirect=True)
def test_a_study_ends_in_a_sentence_and_a_picture(study: Run) -> None:
    _, printed, picture = study
    assert printed.rstrip().endswith(".")
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("study", but(LONG, STUDIES), indirect=True)
def test_the_page_shows_what_the_study_prints(study: Run, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["study"]
    assert not missing(shown(name, PAGE.read_text(encoding="utf-8")), study[1])


@of("attention_beats_weights")
def test_attention_overtakes_where_the_cache_outweighs_the_parameters(study: Run) -> None:
    tokens = study[0]["crossings"].table["cached_tokens"]
    weights_bytes = 8_030_261_248 * 2  # parameters of the checkpoint, bf16
    cache_bytes = 2 * 32 * 8 * 128 * 2  # of a token: K and V, layers, heads, head dimension, bf16
    assert len(tokens) == 5
    assert np.all(np.abs(np.log(tokens.to_numpy() * cache_bytes / weights_bytes)) < math.log(1.6))


@of("cheapest_gpu")
def test_a_price_is_rent_over_tokens(study: Run) -> None:
    table = study[0]["found"].table
    row = table.row(int(np.argmin(table["usd"].to_numpy())), named=True)
    rent = hw.device(row["gpu"]).price.rent_usd_per_hour
    assert row["usd"] == pytest.approx(rent * row["tpot_s"] / 3600 / row["batch"] * 1e6)
    assert set(table["gpu"]) >= {"a100", "h100", "h200", "b200", "l40s", "mi300x"}


@of("sram_for_attention")
def test_one_pass_needs_sram_by_the_balance_and_three_passes_by_the_length(study: Run) -> None:
    least = study[0]["at"]
    one, three = least["fusemax-any-block", "400 GB/s"], least["flat", "400 GB/s"]
    assert one.n_unique() == 1
    growth = three.to_numpy()[1:] / three.to_numpy()[:-1]
    assert np.all(np.abs(np.log(growth / 4)) < 0.1)


@of("experts_touched")
@pytest.mark.parametrize(
    ("model", "experts", "taken"), [("mixtral-8x7b", 8, 2), ("qwen3-30b-a3b", 128, 8)]
)
def test_experts_are_missed_with_the_probability_of_independent_draws(
    study: Run, model: str, experts: int, taken: int
) -> None:
    batch = math.ceil(math.log(0.01) / math.log(1 - taken / experts))
    table = study[0]["full"].table
    assert table.filter(table["model"] == model)["batch"].to_list() == [batch]


@of("hbm_against_sram")
def test_decode_needs_the_bandwidth_that_brings_its_keys_in_its_time(study: Run) -> None:
    table = study[0]["found"].table
    least_s = table.filter(table["work"] == "decode")["time_s"].min()
    moved_bytes = 2 * 12 * 65536 * 64 * 2  # K and V, heads, keys, head dimension, 16 bits
    area_mm2 = moved_bytes / least_s / 408e9 * 10.45
    assert study[0]["low"] == pytest.approx(area_mm2, abs=0.3)


@of("array_design_space")
def test_the_fastest_of_each_side_are_busy_and_as_large_as_their_elements(study: Run) -> None:
    """16 x 12 heads of 4096^2 pairs: 128 products and six more for the exponential at least."""
    chosen = study[0]["chosen"]
    products = 16 * 12 * 4096**2 * (2 * 64 + 6)
    for side, best in chosen.items():
        least_s = products / (side**2 * 940e6)
        assert least_s <= best["time_s"] <= 1.35 * least_s
        assert best["area_mm2"] > side**2 * (16_849.2142 + 1545) * 1e-6
    assert sorted(chosen) == [32, 64, 128, 256, 512]


@of("smallest_mcu")
def test_networks_go_where_their_weights_and_maps_fit(study: Run) -> None:
    table = study[0]["smallest"]
    boards = dict(zip(table["network"], table["board"], strict=True))
    # 1.7 M parameters are more than the 1 MiB of Flash that the smaller three have.
    assert boards["mobilenetv2 x 0.35, 144"] == "stm32f765"
    patched = study[0]["found"].filter("patches > 1").table
    assert set(patched["board"]) <= {"nrf52840", "stm32f412", "stm32f746"}


@of("test_time_scaling")
@pytest.mark.parametrize(
    ("model", "equivalent"),
    [("qwen3-0.6b", 9199.8), ("qwen3-4b", 11828.3), ("qwen3-8b", 11828.3), ("qwen3-32b", 21028.2)],
)
def test_keys_and_values_of_a_trial_are_those_of_kinetics(
    study: Run, model: str, equivalent: float
) -> None:
    """Its released cost model, in tera-operations at 562.5 operations a byte (4.5 PF / 8 TB/s)."""
    names = study[0]
    moved_bytes = names["TRIAL"] * np.mean(hw.model(model).kv_bytes(1, names["CONTEXTS"]))
    assert moved_bytes * 562.5 / 1e12 == pytest.approx(equivalent, rel=1e-4)


def renew() -> None:
    """Write the pictures, and what the studies print, anew."""
    page = PAGE.read_text(encoding="utf-8")
    for name in STUDIES:
        _, printed, _ = run(name, PAGE.parent / "pictures" / f"{name}.png")
        page = page.replace(shown(name, page), printed.strip() + "\n")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    renew()
