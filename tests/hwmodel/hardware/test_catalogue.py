"""The catalogue: every number has a unit and a source, and agrees with the others."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel.hardware import parameters
from hwmodel.hardware.catalogue import CATALOGUE, device, devices, load_device
from hwmodel.hardware.hardware import limits
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

NAMES = devices()
GPUS = tuple(name for name in NAMES if device(name).kind == "gpu")
KINDS_OF_SOURCE = (
    "derived",  # with its formula
    "assumed",  # a prior, with its reason
    "NVIDIA",  # datasheets, whitepapers, guides
    "AMD",
    "Google:",
    "ST:",
    "Nordic:",
    "Arm:",
    "measured",
    "reported by the CUDA driver",
    "published",  # with the paper or artifact
    "specification",  # of a reference machine, which is what its file says
)


def numbers(path: Path) -> dict[str, Any]:
    """Every leaf of a catalogue file that is no word, by dotted path, read independently."""

    def walk(node: Any, at: str) -> dict[str, Any]:
        if isinstance(node, dict):
            found: dict[str, Any] = {}
            for key, child in node.items():  # pyright: ignore[reportUnknownVariableType]
                found |= walk(child, f"{at}.{key}".lstrip("."))
            return found
        return {} if isinstance(node, (str, bool)) else {at: node}

    tree = yaml.safe_load(path.read_text())
    tree.pop("sources")
    return walk(tree, "")


def edited(tmp_path: Path, old: str, new: str) -> Path:
    """The H200's file with one text changed."""
    text = (CATALOGUE / "h200.yaml").read_text()
    assert old in text
    path = tmp_path / "edited.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_gpus_of_each_generation_are_shipped() -> None:
    generations = {device(name).architecture for name in GPUS}
    nvidia = {"volta", "turing", "ampere", "ada", "hopper", "blackwell", "blackwell-rtx"}
    assert generations == nvidia | {"cdna2", "cdna3", "cdna4"}
    assert {"a100", "b200", "b300", "gb200", "h100", "h200", "l40s", "rtx-pro-6000"} <= set(GPUS)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_a_value_with_a_source_of_a_known_kind(name: str) -> None:
    path = CATALOGUE / f"{name}.yaml"
    texts: dict[str, str] = yaml.safe_load(path.read_text())["sources"]
    leaves = {place: leaf for place, leaf in numbers(path).items() if leaf is not None}
    assert len(leaves) > (3 if device(name).extends else 25 if name in GPUS else 10)
    for place, leaf in leaves.items():
        assert isinstance(leaf, list), place
        value, source = leaf  # pyright: ignore[reportUnknownVariableType]
        power = place.endswith("_exponent")
        assert isinstance(value, (str, float, int) if power else (str, int)), place
        assert texts[str(source)].startswith(KINDS_OF_SOURCE), place  # pyright: ignore[reportUnknownArgumentType]
    used = {str(leaf[1]) for leaf in leaves.values()}
    assert used == set(texts), "a source that no number names"
    told = {place: texts[str(leaf[1])] for place, leaf in leaves.items()}
    found = dict(device(name).sources)
    assert {place: found[place] for place in told} == told
    if not device(name).extends:  # An array's area is that of its parts, where it states none.
        added = {"area"} if device(name).kind == "spatial" else set[str]()
        assert found.keys() - added <= told.keys()


def unsourced(name: str) -> set[str]:
    """Numbers of a device of which its file does not say where they come from: defaults."""
    sources = set(device(name).sources)
    every = parameters.numbers(device(name))
    return {p for p in every if not {p, f"memories.{p}", f"units.{p}"} & sources}


@pytest.mark.parametrize("name", [name for name in NAMES if device(name).extends])
def test_a_variant_leaves_no_number_without_the_source_that_the_other_has(name: str) -> None:
    assert unsourced(name) <= unsourced(device(name).extends)
    assert device(device(name).extends).kind == device(name).kind


@pytest.mark.parametrize("name", NAMES)
def test_a_derivation_shows_its_numbers_and_a_prior_says_that_it_is_one(name: str) -> None:
    for place, text in device(name).sources.items():
        if text.startswith("derived"):
            assert any(c.isdigit() for c in text), place
        elif text.startswith("assumed"):
            assert len(text) > 25, place


@pytest.mark.parametrize("name", GPUS)
def test_levels_grow_slower_and_dearer_towards_dram(name: str) -> None:
    found = device(name)
    levels = [
        level for level in ("register", "shared", "l2", "l3", "dram") if level in found.memories
    ]
    memories = [found.memory(level) for level in levels]
    bandwidths = [memory.bandwidth_bytes_per_s for memory in memories]
    energies = [memory.energy_j_per_byte for memory in memories]
    assert bandwidths == sorted(bandwidths, reverse=True)
    assert energies == sorted(energies)
    assert found.memory("l2").latency_s < found.memory("dram").latency_s


@pytest.mark.parametrize("name", GPUS)
def test_registers_fill_the_register_file(name: str) -> None:
    found = device(name)
    assert found.processors.registers * 4 == found.memory("register").capacity_bytes
    per_block, shared = found.processors.shared_per_block_bytes, found.memory("shared")
    assert per_block <= shared.capacity_bytes <= per_block + 1024  # CUDA keeps 1 KiB a block


@pytest.mark.parametrize("name", GPUS)
def test_power_limit_is_above_idle_and_can_pay_for_dram_at_full_speed(name: str) -> None:
    found = device(name)
    dram = found.memory("dram")
    assert 0 < found.power.idle_w < found.power.limit_w
    spare_w = found.power.limit_w - found.power.idle_w
    assert dram.bandwidth_bytes_per_s * dram.energy_j_per_byte < spare_w


def test_h200_holds_what_its_datasheet_says() -> None:
    h200 = device("h200")
    # Its datasheet's 141 GB are what drivers call GiB: CUDA shows 150,109,880,320 bytes.
    assert_allclose(h200.memory("dram").capacity_bytes, 150_109_880_320, rtol=1e-5)
    assert h200.memory("hbm").bandwidth_bytes_per_s == 4.8e12
    assert h200.rate("matrix", "bf16") == 989.4e12
    assert h200.link is not None
    assert h200.link.bandwidth_bytes_per_s == 450e9
    assert h200.power.limit_w == 700
    on_chip = 60 * 2**20 + 132 * (256 + 256) * 2**10  # L2, and L1 with shared memory and registers
    assert limits(h200).on_chip_bytes == on_chip


def test_a_variant_is_what_its_file_says_over_the_other_and_what_follows() -> None:
    pcie, sxm = device("h100-pcie"), device("h100")
    assert pcie.extends == "h100"
    # NVIDIA's datasheet of the PCIe card: 756 TFLOP/s bf16, 1513 fp8, 51.2 fp32, of 114 SMs.
    assert_allclose(pcie.rate("matrix", "bf16"), 756e12, rtol=0.001)
    assert_allclose(pcie.rate("matrix", "fp8"), 1513e12, rtol=0.001)
    assert_allclose(pcie.rate("vector", "fp32"), 51.2e12, rtol=0.002)
    assert pcie.memory("shared").capacity_bytes == sxm.memory("shared").capacity_bytes
    assert pcie.link is not None
    assert pcie.link.reduction_bytes_per_s is None
    assert not [path for path in pcie.sources if path.startswith("link.reduction")]
    assert "followed" in pcie.sources["units.matrix.rate.bf16"]
    assert "l3" not in device("mi210").memories
    assert not [path for path in device("mi210").sources if path.startswith("memories.l3")]


@pytest.mark.parametrize("name", ["h100", "b200", "l40s"])
def test_a_relatives_steps_are_wider_and_its_hosts_are_not(name: str) -> None:
    """Hosts were measured beside H200s; which of them stands beside a GPU is no matter of it."""
    ours, theirs = (device(each).calibration for each in ("h200", name))
    assert ours is not None
    assert theirs is not None
    seen, passed_on = ours.families["host:vllm"], theirs.families["host:vllm"]
    assert passed_on.origin == "inherited"
    assert passed_on.intervals["host"] == seen.intervals["host"] == (0.7, 1.6)
    for phase in ("decode", "prefill"):
        assert passed_on.intervals[phase][0] < seen.intervals[phase][0]
        assert passed_on.intervals[phase][1] > seen.intervals[phase][1]


def test_a_users_file_may_extend_a_shipped_device(tmp_path: Path) -> None:
    path = tmp_path / "half.yaml"
    text = "name: half\ntitle: half an H200\nkind: gpu\nextends: h200\n"
    text += "processors: {count: [66, own]}\n"
    path.write_text(f'{text}sources: {{own: "assumed: half of the processors, for a what-if"}}\n')
    half = device(path)
    assert_allclose(half.rate("matrix", "bf16"), 989.4e12 / 2, rtol=1e-9)
    assert half.memory("dram") == device("h200").memory("dram")
    assert half.calibration is not None
    assert half.calibration.families["gemm:cublas"].origin == "inherited"
    path.write_text(path.read_text().replace("h200\n", "h2000\n"))
    with pytest.raises(InputError, match=r"half.yaml, line 4: extends: unknown device 'h2000'"):
        device(path)


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("v100", ("bf16", "fp8", "int8")),
        ("t4", ("bf16", "fp8")),
        ("a100", ("fp8", "nvfp4")),
        ("rtx-3090", ("fp8", "nvfp4")),
        ("l4", ("nvfp4",)),
        ("h20", ("nvfp4",)),
        ("mi210", ("fp8", "tf32")),
    ],
)
def test_formats_that_a_generation_lacks_are_refused(name: str, lacks: tuple[str, ...]) -> None:
    for dtype in lacks:
        product = hw.workloads.gemm(M=512, N=512, K=512, dtype=dtype)
        with pytest.raises(CoverageError, match=f"{name}: .*no {dtype} on"):
            hw.predict(product, on=name)
    dtype = "fp16" if "bf16" in lacks else "bf16"
    assert hw.predict(hw.workloads.gemm(M=512, N=512, K=512, dtype=dtype), on=name).time_s > 0


def test_names_ignore_case() -> None:
    assert device(" H200 ") == device("h200")


def test_unknown_names_list_those_that_exist() -> None:
    with pytest.raises(
        UnknownNameError, match=r"did you mean 'h200' or .*'h20'\?.*hwmodel devices"
    ):
        device("h2000")


def test_a_path_loads_as_a_name_does(tmp_path: Path) -> None:
    path = edited(tmp_path, "name: h200", "name: mine")
    assert device(path).name == "mine"
    assert device(str(path)).memories == device("h200").memories


BEST_SEEN_FLOP_PER_S = {
    "mi300x": ((10240, 15360, 8192), 668.4e12),
    "mi325x": ((13312, 10240, 8192), 784.9e12),
    "mi355x": ((12288, 8192, 8192), 1565e12),
}
"""Product in bf16 and the rate that ml-engineering's scans found (GitHub @ 744d01e, 2025)."""


@pytest.mark.parametrize("name", BEST_SEEN_FLOP_PER_S)
def test_a_large_product_reaches_on_amd_what_scans_found_and_not_what_nvidia_does(
    name: str,
) -> None:
    (m, n, k), best = BEST_SEEN_FLOP_PER_S[name]
    found = hw.predict(hw.workloads.gemm(M=m, N=n, K=k), on=name)
    assert_allclose(2 * m * n * k / found.time_s, best, rtol=0.05)
    families = device(name).calibration
    assert families is not None
    assert {"prefill", "rows"} <= set(families.families)  # priors beside its own


def test_a_product_takes_as_long_on_an_mi210_as_llmcompass_measured() -> None:
    for m, seconds in ((128, 0.5932e-3), (1024, 2.7173e-3), (32768, 81.4046e-3)):
        found = hw.predict(hw.workloads.gemm(M=m, N=12288, K=12288, dtype="fp16"), on="mi210")
        assert_allclose(found.time_s, seconds, rtol=0.15)


ACCELERATORS = tuple(name for name in NAMES if device(name).kind == "npu")


@pytest.mark.parametrize("name", [*ACCELERATORS, "xeon-8480", "epyc-7763", "jetson-agx-orin"])
def test_accelerators_and_servers_answer_every_question(name: str) -> None:
    dtype = "fp16" if name == "jetson-nano" else "bf16"
    llama = hw.model("llama-3.2-1b", dtype=dtype)
    works = (
        hw.workloads.gemm(M=512, N=1024, K=1024, dtype=dtype),
        hw.workloads.attention(1, 8, 512, 512, 64, causal=True, dtype=dtype),
        hw.workloads.moe(64, 8, 2, 512, 256, dtype=dtype),
        llama.decode(batch=1, context=1024),
        llama.prefill(batch=1, prompt=256),
    )
    for work in works:
        found = hw.predict(work, on=name)
        assert 0 < found.bound_s <= found.time_s < found.time_high_s
        assert found.energy_j > 0
    limit: Any = hw.bound(works[0], on=name)
    assert limit.dram_bytes >= 2 * (512 * 1024 + 1024 * 1024 + 512 * 1024)


def test_a_product_on_a_matrix_unit_takes_a_share_of_its_peak() -> None:
    flop = 2 * 8192**3
    for name, share in (("gaudi-3", 0.74), ("tpu-v5p", 0.7), ("xeon-8480", 0.5)):
        found = hw.predict(hw.workloads.gemm(M=8192, N=8192, K=8192), on=name)
        reached = flop / found.time_s / device(name).rate("matrix", "bf16")
        assert share * 0.97 < reached <= share * 1.0001


def test_a_device_without_measurements_carries_the_priors() -> None:
    found = device("mi300x").calibration
    assert found is not None
    assert {family.origin for family in found.families.values()} <= {"prior", "inherited"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[4.8 TB/s, datasheet]", "4.8 TB/s", r"line \d+: memories.dram.bandwidth: expected \[va"),
        (
            "[4.8 TB/s, datasheet]",
            "[4.8, datasheet]",
            r"line \d+: memories.dram.bandwidth: 4.8 has",
        ),
        (
            "[4.8 TB/s, datasheet]",
            "[4.8 TB/s, hearsay]",
            r"memories.dram.bandwidth: unknown source",
        ),
        (
            "[4.8 TB/s, datasheet]",
            "[4.8 GHz, datasheet]",
            r"line \d+: memories.*expected a bandwidth",
        ),
        (
            "[4.8 TB/s, datasheet]",
            "[-4.8 TB/s, datasheet]",
            r"line \d+: memories.*a number of 0 or",
        ),
        (
            "bf16: [989.4 TFLOP/s, dense]",
            "bf16: [989.4, dense]",
            "units.matrix.rate.bf16: 989.4 has",
        ),
        (
            "count: [132, whitepaper]",
            "count: [13.2, whitepaper]",
            "processors.count: expected a cou",
        ),
        ("count: [132, whitepaper]", "count: [0, whitepaper]", "processors.count: .*above 0"),
        ("\nclock: [", "\nclok: [", r"line \d+: clok: unknown field 'clok' \(did you mean 'clock'"),
        ("bandwidth: [4.8", "bandwith: [4.8", "memories.dram.bandwith: unknown field"),
        ("kind: gpu", "kind: toaster", "kind: "),
        ("kind: gpu", "kind: gpu\nkind: gpu", r"line 5: 'kind' stands here a second time"),
        ("kind: gpu", "kind: [gpu", r"line \d+: no valid YAML"),
        ("link:\n", "link: none\nlonk:\n", "link: expected a table"),
        ("sources:\n", "resources:\n", "expected a table `sources`"),
        ("power:\n", "power_:\n", "power_: unknown field"),
    ],
)
def test_bad_files_are_refused_with_file_line_and_field(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = edited(tmp_path, old, new)
    with pytest.raises(InputError, match=said) as caught:
        load_device(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_line_named_is_the_line_at_fault(tmp_path: Path) -> None:
    path = edited(tmp_path, "[4.8 TB/s, datasheet]", "4.8 TB/s")
    lines = path.read_text().splitlines()
    number = 1 + next(i for i, line in enumerate(lines) if "4.8 TB/s" in line)
    with pytest.raises(InputError, match=f"line {number}:"):
        load_device(path)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list\n"])
def test_files_that_are_no_table_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "device.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"device\.yaml.*expected a table"):
        device(path)


def test_absent_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        device(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        device(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="expected UTF-8 text, found UTF-16"):
        device(tmp_path / "bytes.yaml")


def test_a_cold_load_needs_no_heavy_library() -> None:
    code = (
        "from hwmodel.hardware.catalogue import device; device('h200');"
        " import sys; print(*sys.modules)"
    )
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    heavy = {"scipy", "pandas", "polars", "matplotlib", "networkx", "pulp", "torch", "lark"}
    assert not heavy & set(run.stdout.split())


def test_a_calibration_is_called_as_its_file() -> None:
    """Answers name it: one that was fitted into a folder keeps no name of that."""
    for path in (Path(parameters.__file__).parent / "devices" / "calibration").glob("*.yaml"):
        assert f"name: {path.stem}\n" in path.read_text(encoding="utf-8"), path.name
