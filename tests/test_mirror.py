"""Tests stand where their modules stand: einsum/counts.py has tests/einsum/test_counts.py.

A module without a test file of its own is named here, with the file that tests it and why; so is a
test file that belongs to no single module.
"""

from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("hwmodel", "einsum", "mappers", "kernels", "validation")

ELSEWHERE = {
    "hwmodel/spine/answer.py": ("hwmodel/whatif/test_explanation.py", "what verbs ask of answers"),
    "hwmodel/hardware/law_made.py": ("hwmodel/hardware/test_sized.py", "what-ifs of its machines"),
    # A part of one theorem, count or value, which is tested as a whole.
    "einsum/attention_shape.py": ("einsum/test_structure.py", "recognised as all else is"),
    "einsum/workloads/adapted.py": (
        "hwmodel/systems/training/test_adapters.py",
        "what is trained",
    ),
    "einsum/workloads/laid.py": ("einsum/workloads/test_layer_list.py", "files of layers"),
    "einsum/workloads/mapped.py": ("hwmodel/systems/training/test_maps.py", "networks trained"),
    "einsum/workloads/map_gradients.py": ("hwmodel/systems/training/test_maps.py", "what is kept"),
    "einsum/workloads/blocks/unit.py": ("hwmodel/systems/training/test_maps.py", "what is kept"),
    "einsum/workloads/training_step.py": ("einsum/workloads/test_training.py", "made and refused"),
    "einsum/workloads/serving*.py": (
        "hwmodel/systems/serving/test_stream.py",
        "streams as they are answered",
    ),
    "mappers/nests/chains.py": ("mappers/nests/test_levels.py", "nests of the answers"),
    "einsum/importers/calls.py": ("einsum/importers/test_aten.py", "what rules are asked"),
    "einsum/importers/aten_images.py": ("einsum/importers/test_aten.py", "as all other rules are"),
    "einsum/importers/aten_pointwise.py": (
        "einsum/importers/test_aten.py",
        "as all other rules are",
    ),
    "einsum/importers/aten_layers.py": ("einsum/importers/test_aten.py", "as all other rules are"),
    "einsum/tree.py": ("einsum/test_notation.py", "what the reader reads"),
    "einsum/parsed.py": ("einsum/test_notation.py", "texts and their refusals"),
    "hwmodel/experts/frames.py": ("hwmodel/experts/test_traces.py", "tables of traces"),
    "hwmodel/network/rounds.py": ("hwmodel/network/test_schedules.py", "who hears of what"),
    "hwmodel/network/ranks.py": ("hwmodel/network/test_algorithms.py", "bytes of each link"),
    "hwmodel/machines/gpu/recurrences.py": (
        "hwmodel/machines/gpu/test_lower.py",
        "kernels recognised",
    ),
    "hwmodel/machines/gpu/stretches.py": (
        "hwmodel/machines/gpu/test_lower.py",
        "kernels recognised",
    ),
    "hwmodel/machines/gpu/convolutions.py": (
        "hwmodel/machines/gpu/schedules/test_convolution.py",
        "kernels recognised",
    ),
    "einsum/origin.py": ("einsum/test_cascade.py", "workloads made again"),
    "hwmodel/hardware/described.py": ("hwmodel/hardware/test_levers.py", "names alone"),
    "hwmodel/bounds/limit.py": ("hwmodel/verbs/test_bound.py", "the answer of the verb"),
    "hwmodel/bounds/recognise.py": ("hwmodel/bounds/test_pairs.py", "what pairs are found in"),
    "hwmodel/machines/*/rates.py": ("test_machines.py", "laws of every machine"),
    "hwmodel/machines/completed.py": ("test_laws.py", "estimates read no less than the bound"),
    "hwmodel/machines/run.py": ("hwmodel/machines/test_driver.py", "what the driver is told"),
    "hwmodel/machines/gpu/schedules/cudnn_filter_choice.py": (
        "hwmodel/machines/gpu/schedules/test_cudnn_filters.py",
        "a tree and what it is asked",
    ),
    "hwmodel/machines/gpu/schedules/cudnn_filter_kernels.py": (
        "hwmodel/machines/gpu/schedules/test_cudnn_filters.py",
        "numbers alone",
    ),
    "hwmodel/machines/gpu/schedules/cudnn_kernels.py": (
        "hwmodel/machines/gpu/schedules/test_cudnn_menu.py",
        "numbers alone",
    ),
    "hwmodel/machines/gpu/calls.py": ("hwmodel/machines/gpu/test_predict.py", "its activities"),
    "hwmodel/machines/gpu/schedules/attention_backward.py": (
        "einsum/workloads/test_attention_backward.py",
        "the kernel of a workload of its own",
    ),
    **dict.fromkeys(
        (
            f"hwmodel/machines/gpu/schedules/{name}.py"
            for name in (
                *("cluster_sums", "fused_blocks", "grouped_gradients", "monarch", "nearest"),
                *("triton_scan", "windows"),
            )
        ),
        ("hwmodel/machines/gpu/test_fused.py", "found by structure, and what their blocks do"),
    ),
    **dict.fromkeys(
        (
            f"hwmodel/machines/gpu/schedules/{name}.py"
            for name in ("cublas_rules", "cublas_traffic", "library_tile")
        ),
        ("hwmodel/machines/gpu/schedules/test_cublas.py", "rules and bytes, by what was measured"),
    ),
    "hwmodel/machines/gpu/schedules/cublas_copied_rules.py": (
        "hwmodel/machines/gpu/schedules/test_cublas_copied.py",
        "the rules of copying kernels, by measured launches",
    ),
    "hwmodel/machines/mcu/libraries.py": ("hwmodel/machines/mcu/test_predict.py", "values"),
    "hwmodel/machines/spatial/zeros.py": (
        "hwmodel/machines/spatial/test_sparsity.py",
        "refused where sparsities would be",
    ),
    "hwmodel/machines/spatial/[blcp]*.py": (
        "hwmodel/machines/spatial/test_nest.py",
        "one count: checked by walks of whole nests",
    ),
    "hwmodel/spine/certificate.py": ("mappers/test_mapper.py", "made by proposals"),
    "einsum/reader.py": ("einsum/test_notation.py", "what the notation is read by"),
    "hwmodel/whatif/variants.py": ("hwmodel/whatif/test_sensitivity.py", "its variants"),
    # One value a file, of which all are asked together.
    "hwmodel/machines/gpu/libraries/*.py": (
        "hwmodel/machines/gpu/libraries/test_shipped.py",
        "every library, by the collection",
    ),
    "einsum/workloads/policies/*.py": (
        "einsum/workloads/policies/test_policy.py",
        "every policy, by the bytes that it keeps",
    ),
    "einsum/workloads/modifiers/*.py": (
        "einsum/workloads/modifiers/test_modifier.py",
        "every modifier, by what it changes",
    ),
    "einsum/workloads/quantisation/*.py": (
        "einsum/workloads/quantisation/test_quantisation.py",
        "every method, by configs",
    ),
    "einsum/workloads/architectures/*.py": (
        "einsum/workloads/test_config.py",
        "every architecture, by configs",
    ),
    "einsum/workloads/blocks/*.py": ("einsum/workloads/blocks/test_network.py", "whole layers"),
    "einsum/workloads/encoder.py": ("einsum/workloads/test_architectures.py", "every encoder"),
    "einsum/workloads/asked.py": ("hwmodel/verbs/test_request.py", "requests in words"),
    "einsum/workloads/record.py": ("einsum/workloads/test_config.py", "what configs are read into"),
    "einsum/workloads/formats.py": (
        "einsum/workloads/quantisation/test_quantisation.py",
        "formats module by module",
    ),
    # What is shown is tested by what is printed, drawn or written.
    "hwmodel/show/columns.py": ("hwmodel/show/test_fields.py", "the list of fields"),
    "hwmodel/show/datasheet.py": ("hwmodel/show/test_text.py", "a device's sheet"),
    "hwmodel/show/workload.py": ("hwmodel/show/test_html.py", "workloads in notebooks"),
    "hwmodel/show/programs.py": ("hwmodel/verbs/test_program.py", "programs as they are printed"),
    "hwmodel/show/serving.py": (
        "hwmodel/systems/serving/test_stream.py",
        "streams as they are printed",
    ),
    "hwmodel/show/deployments.py": ("hwmodel/verbs/test_deploy.py", "the page of the verb"),
    "hwmodel/show/training.py": (
        "hwmodel/systems/training/test_step.py",
        "steps as they are printed",
    ),
    "hwmodel/show/page.py": ("hwmodel/verbs/test_report.py", "pages as a browser shows them"),
    "hwmodel/show/report.py": ("hwmodel/verbs/test_report.py", "the page of the verb"),
    "hwmodel/show/writers.py": ("hwmodel/sweeps/test_table.py", "files of tables"),
    "hwmodel/show/pictures/*.py": ("hwmodel/show/pictures/test_gallery.py", "every picture"),
    "hwmodel/text/*.py": ("hwmodel/show/test_html.py", "what answers are printed with"),
    # A sweep is tested whole: in one process and in several, in memory and in files.
    "hwmodel/sweeps/*.py": ("hwmodel/sweeps/test_run.py", "sweeps as they are run"),
    # A verb is its record; the four ways of asking are walked together.
    "hwmodel/systems/training/*.py": (
        "hwmodel/systems/training/test_step.py",
        "steps as they are predicted",
    ),
    "hwmodel/systems/serving/[brs]*.py": (
        "hwmodel/systems/serving/test_replica.py",
        "a replica in time, by hand and by laws",
    ),
    "hwmodel/systems/pipelines/*.py": (
        "hwmodel/systems/pipelines/test_named.py",
        "every schedule, by published ones",
    ),
    "hwmodel/verbs/attention_units.py": (
        "hwmodel/machines/gpu/test_attention_units.py",
        "the survey and its command",
    ),
    "hwmodel/verbs/calibrate.py": ("validation/test_plan.py", "the plan and its command"),
    "hwmodel/verbs/energy.py": ("hwmodel/hardware/test_energy_tables.py", "and its command"),
    "hwmodel/verbs/plac*.py": ("hwmodel/verbs/test_place.py", "parts of one verb"),
    "hwmodel/verbs/plot.py": ("hwmodel/show/pictures/test_gallery.py", "and its command"),
    "hwmodel/verbs/sensitivity.py": ("hwmodel/verbs/test_explain.py", "and its command"),
    "hwmodel/verbs/einsums.py": ("hwmodel/verbs/test_map.py", "users' Einsums"),
    "hwmodel/verbs/*.py": ("hwmodel/verbs/test_ask.py", "every record, by every way of asking"),
    # Mappers: parts of one search, each answer proven against exhaustive ones.
    "mappers/fusion/*.py": ("mappers/fusion/test_fuse.py", "counts of fused trees"),
    "mappers/nests/picture.py": ("mappers/nests/test_certify.py", "drawn from answers"),
    "mappers/nests/unfused.py": ("mappers/test_cascades.py", "Einsum by Einsum"),
    "mappers/nests/interleave.py": ("mappers/test_cascades.py", "a mapspace of cascades"),
    "mappers/nests/*.py": ("mappers/nests/test_tiles.py", "costs and answers of nests"),
    "mappers/placement/problem.py": ("mappers/placement/test_exact.py", "posed and solved"),
    # Triton kernels of one shape; `operands` is what all wrappers check with.
    "kernels/operands.py": ("kernels/test_gemm.py", "refusals of every wrapper"),
    "kernels/*.py": ("kernels/test_rows.py", "row kernels, by one reference"),
    # Runs on a GPU, or is what runs there; the order of measuring is tested with a fake one.
    "validation/papers/*.py": ("validation/papers/test_claim.py", "programs, asked alike"),
    "validation/measure/vllm_*.py": ("validation/measure/test_vllm_engine.py", "a GPU's"),
    "validation/measure/engine_rows.py": ("validation/measure/test_vllm_engine.py", "a GPU's"),
    "validation/measure/*.py": ("validation/measure/test_own_gpu.py", "needs a GPU to run"),
    "validation/pictures.py": ("hwmodel/verbs/test_validate.py", "drawn by the verb"),
}
"""Modules without a test file of their own -> what tests them, and why there."""

OF_SEVERAL = {
    "docs/test_docs.py": "the pages in docs/",
    "docs/test_pages.py": "the pages of the site",
    "docs/test_reference.py": "what the site says of records, verbs and names",
    "einsum/workloads/modifiers/test_networks.py": "modifiers of whole layers",
    "examples/test_studies.py": "the notebooks and studies in examples/",
    "hwmodel/spine/test_fusemax.py": "trees of FuseMax's bindings",
    "hwmodel/systems/test_deadlocks.py": "simulations that cannot go on",
    "hwmodel/systems/test_stepper.py": "simulations against a stepper of whole seconds",
    "hwmodel/test_cli_refusals.py": "what commands refuse",
    "hwmodel/test_cli_output.py": "processes whose output cannot be written",
    "hwmodel/machines/gpu/test_floors.py": "what no GPU's estimate goes below",
    "hwmodel/machines/gpu/test_formats.py": "number formats through a whole estimate",
    "hwmodel/machines/gpu/test_generations.py": "measured differences of generations",
    "einsum/workloads/test_architectures.py": "every architecture: laws, published configs",
    "einsum/workloads/test_computed.py": "networks against transformers, cascade by cascade",
    "einsum/workloads/test_quantised.py": "models of quantised checkpoints, whole",
    "einsum/workloads/quantisation/test_checkpoints.py": "published checkpoints, whole",
    "einsum/workloads/quantisation/test_models.py": "quantised models and their files, whole",
    "hwmodel/systems/serving/test_recorded.py": "streams that others recorded",
    "hwmodel/systems/pipelines/test_published.py": "iterations that others measured",
    "kernels/test_fused.py": "kernels of the literature, each by its reference",
    "validation/test_foreign_rows.py": "rows that others measured",
    "validation/test_held_out.py": "errors on rows that no fit saw",
}
"""Test files of no single module -> what they are of."""


def modules() -> list[str]:
    """Every module but the face and its door, by its path from the root."""
    found: list[str] = []
    for top in (ROOT / name for name in FOLDERS):
        links = {path for path in top.iterdir() if path.is_symlink()}
        found += [
            path.relative_to(ROOT).as_posix()
            for path in sorted(top.rglob("*.py"))
            if not links.intersection(path.parents)
            and path.name not in ("__init__.py", "__main__.py")
        ]
    return found


def mirrored(module: str) -> str:
    """The path of a module's test file, below tests/."""
    folder, _, name = module.rpartition("/")
    return f"{folder}/test_{name}"


ALONE = [module for module in modules() if not (ROOT / "tests" / mirrored(module)).exists()]


def test_every_module_is_tested_where_it_stands_or_is_named() -> None:
    strange = [m for m in ALONE if not any(fnmatch(m, pattern) for pattern in ELSEWHERE)]
    assert not strange, f"add tests/{mirrored(strange[0])}, or say in ELSEWHERE what tests it"


@pytest.mark.parametrize("pattern", ELSEWHERE)
def test_what_is_named_is_needed_and_its_test_exists(pattern: str) -> None:
    found, why = ELSEWHERE[pattern]
    assert why
    assert (ROOT / "tests" / found).is_file()
    assert any(fnmatch(module, pattern) for module in ALONE), f"{pattern}: names no module"


def test_every_test_file_stands_beside_a_module_or_says_of_what_it_is() -> None:
    beside = {mirrored(module) for module in modules()}
    files = {
        path.relative_to(ROOT / "tests").as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.parent != ROOT / "tests"
    }
    assert not files - beside - set(OF_SEVERAL)
    assert set(OF_SEVERAL) <= files - beside
