"""Types of the names of `import hwmodel`; written by `python -m tests.face_stub`."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from hwmodel.bounds.limit import Limit as Limit
from hwmodel.einsum.cascade import Cascade as Cascade
from hwmodel.einsum.division import Division
from hwmodel.einsum.network import Stack as Stack
from hwmodel.einsum.notation import parse as parse
from hwmodel.einsum.workloads import catalogue as _workloads
from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.einsum.workloads.model import Model as Model
from hwmodel.einsum.workloads.model import model as model
from hwmodel.einsum.workloads.serving_stream import Serving
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.experts.statistics import Routing as Routing
from hwmodel.hardware.catalogue import device as device
from hwmodel.hardware.hardware import Hardware as Hardware
from hwmodel.hardware.sized import array as array
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.libraries.library import Library
from hwmodel.mappers.deployments.traffic import Promise
from hwmodel.mappers.deployments.traffic import Traffic
from hwmodel.mappers.mapper import Mapped as Mapped
from hwmodel.mappers.mapper import Mapper
from hwmodel.network.topology import Topology as Topology
from hwmodel.quantity.errors import CapacityError as CapacityError
from hwmodel.quantity.errors import CoverageError as CoverageError
from hwmodel.quantity.errors import HwmodelError as HwmodelError
from hwmodel.quantity.errors import InputError as InputError
from hwmodel.quantity.errors import SolverError as SolverError
from hwmodel.quantity.errors import UnknownNameError as UnknownNameError
from hwmodel.quantity.ranges import linspace as linspace
from hwmodel.quantity.ranges import logspace as logspace
from hwmodel.show.pictures import gallery as _plot
from hwmodel.spine.answer import Told
from hwmodel.spine.estimate import Estimate as Estimate
from hwmodel.spine.offload import Offload
from hwmodel.sweeps.axes import each as each
from hwmodel.sweeps.axes import together as together
from hwmodel.sweeps.files import open_sweep as open_sweep
from hwmodel.sweeps.run import sweep as sweep
from hwmodel.sweeps.table import Sweep as Sweep
from hwmodel.systems.programs.priced import Priced as Priced
from hwmodel.systems.programs.program import Program as Program
from hwmodel.systems.programs.streamed import Streamed
from hwmodel.text.frames import Frame
from hwmodel.validation.engine_plan import EngineOutcome
from hwmodel.validation.plan import Outcome
from hwmodel.validation.table_fit import TableOutcome
from hwmodel.verbs.ask import ask as ask
from hwmodel.verbs.benchmarked import Benchmarked
from hwmodel.verbs.bound import Least
from hwmodel.verbs.bound import LooseBound as LooseBound
from hwmodel.verbs.case_table import cases as cases
from hwmodel.verbs.compare import Comparison as Comparison
from hwmodel.verbs.deployed import Deployed as Deployed
from hwmodel.verbs.models import Cards
from hwmodel.verbs.papers import Claims
from hwmodel.verbs.parallelise import Parallelised as Parallelised
from hwmodel.verbs.placed import PlaceAnswer as PlaceAnswer
from hwmodel.verbs.profile import Profiled
from hwmodel.verbs.report import Reported
from hwmodel.verbs.validate import Validation
from hwmodel.whatif.attribution import Attribution as Attribution
from hwmodel.whatif.attribution import attribute as attribute
from hwmodel.whatif.breakeven import BreakEven as BreakEven
from hwmodel.whatif.breakeven import break_even as break_even
from hwmodel.whatif.explanation import Explanation as Explanation
from hwmodel.whatif.sensitivity import Sensitivity as Sensitivity
from numpy import dtype
from numpy import ndarray
from pathlib import Path
from typing import Any

__all__ = [
    "Attribution",
    "BreakEven",
    "CapacityError",
    "Cascade",
    "Comparison",
    "CoverageError",
    "Deployed",
    "Estimate",
    "Explanation",
    "Hardware",
    "HwmodelError",
    "InputError",
    "Limit",
    "LooseBound",
    "Mapped",
    "Model",
    "Parallelised",
    "PlaceAnswer",
    "Priced",
    "Program",
    "Routing",
    "Sensitivity",
    "SolverError",
    "Stack",
    "Sweep",
    "Topology",
    "UnknownNameError",
    "array",
    "ask",
    "attribute",
    "bound",
    "break_even",
    "calibrate",
    "cases",
    "collective",
    "compare",
    "deploy",
    "device",
    "devices",
    "each",
    "engines",
    "explain",
    "libraries",
    "linspace",
    "logspace",
    "map",
    "model",
    "models",
    "open_sweep",
    "papers",
    "parallelise",
    "parse",
    "place",
    "plot",
    "predict",
    "profile",
    "program",
    "report",
    "sensitivity",
    "sweep",
    "together",
    "validate",
    "workloads",
]

__version__: str

plot = _plot
workloads = _workloads

def bound(
    workload: Cascade | Stack | Training | Serving,
    on: Hardware | str | Path,
    *,
    kernel: str | Library | Mapping[str, Any] | None = None,
    parallel: Division | Mapping[str, Any] | None = None,
    topology: Topology | Mapping[str, Any] | str | Path | None = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
) -> Limit | LooseBound | Least:
    """Least traffic at each memory level that any schedule of a workload needs, and least time.

    With how far kernels are from it, an engine's where one is named. Bytes are those of all devices
    together, over which `parallel` divides a model as in `predict`, and `topology` joins them. On
    memories, buffers and arrays without kernels or a binding (`peer-a2`) there is no such distance:
    `map` finds a schedule for them; nor for a cascade that no kernel of the machine computes.
    Of a step of training: seconds by resource that no schedule of its passes goes below.
    Raises as `predict` does.
    """

def calibrate(
    out: str | Path,
    device: str = "auto",
    *,
    engine: str | None = None,
    benchmarks: list[str | Path] | None = None,
    table: str | Path | Frame | None = None,
) -> Outcome | EngineOutcome | TableOutcome:
    """Measure this machine's GPU and fit it, in stages; run it again to go on where it stopped.

    With a `table` of times, a CSV or a data frame, nothing is measured: the device of the catalogue
    is fitted to its rows.

    The folder `out` holds the device and its calibration afterwards; `device` names the relative in
    the catalogue. With an `engine` its steps are measured, and fitted, on that device; instead of
    measuring it reads `benchmarks`, files that `vllm bench` wrote, or folders of them. Raises
    `InputError` where there is no GPU, or the folder holds another's.
    """

def collective(
    op: str,
    bytes: float | str,
    ranks: int,
    on: Hardware | str | Path,
    *,
    topology: Topology | Mapping[str, Any] | str | Path | None = None,
    kernel: str | None = None,
    algorithm: str | None = None,
    dispatch: str = "all-to-all",
    picks: int | None = None,
    experts: int | None = None,
    groups: int = 1,
    taken: int = 1,
) -> Estimate:
    """Time of one collective operation; bytes are counted as nccl-tests does.

    On one switch, or between the first `ranks` devices of a topology: a value, a table, a file, or
    the name of a shipped one such as "dgx-h100". The same as `predict` of the workload.
    """

def compare(
    workload: Cascade | Stack | Training | Serving,
    on: Sequence[Hardware | str | Path],
    *,
    kernel: str | Library | Mapping[str, Any] | None = None,
    parallel: Division | Mapping[str, Any] | None = None,
    topology: Topology | Mapping[str, Any] | str | Path | None = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
) -> Comparison:
    """The same workload on several devices, side by side; those that refuse are named, with why.

    Raises as `predict` does where no device answers.
    """

def deploy(
    config: Model | Mapping[str, Any] | str | Path,
    traffic: Traffic | Mapping[str, Any] | str,
    slo: Promise | Mapping[str, Any] | str,
    *,
    on: Any,
    max_devices: int = 64,
    minimise: str = "price",
    rent: str = "on-demand",
    price: Mapping[str, float] | str | None = None,
    draft: Drafts | Mapping[str, Any] | str | None = None,
    engine: str | Engine = "vllm",
    simulate: int = 2000,
    out: str | None = None,
    workers: int = 1,
    dask: str | None = None,
    client: Any = None,
) -> Deployed:
    """Which device, how many, divided and started how, for a traffic and a promise.

    `traffic` is rate (requests a second, Poisson), input and output (tokens of each), cached (of
    the input); `slo` the most seconds to the first token (ttft) and between two (tpot), of which
    ttft for a percentile (95) and tpot as a mean. `on` are devices of which a pool has one kind,
    `max_devices` of them in all. `minimise` is price (dollars an hour), energy (watts) or devices.
    `rent` is on-demand or reserved, as the catalogue has it; `price` are dollars an hour of your
    own, by device. `engine` is what serves: vllm (default), sglang or trtllm. With a `draft` (of
    vllm) engines that verify what it drafts are searched beside those that do not. Divisions,
    formats, token budgets, batch limits and prompts read apart or not are searched
    (`hwmodel.mappers.deployments`); engines are judged where they settle, by the
    steady state of `predict`'s steps, and the best of them by a stream of `simulate` requests that
    is run step by step. Raises `CapacityError` where nothing keeps the promise.
    """

def explain(
    workload: Estimate | Told | Cascade | Stack | Training,
    on: Hardware | str | Path | None = None,
    *,
    kernel: str | Library | Mapping[str, Any] | None = None,
    parallel: Division | Mapping[str, Any] | None = None,
    topology: Topology | Mapping[str, Any] | str | Path | None = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
) -> Explanation:
    """Why a prediction is what it is; with two devices, why they differ.

    In Python that of an estimate, or of a workload on a machine (`attribute` tells why two differ).
    Raises `InputError` for a sweep and for a workload without a machine, and as `predict` does.
    """

def map(
    workload: Cascade | Stack | Training | Serving,
    on: Hardware | str | Path,
    *,
    kernel: str | None = None,
    topology: Topology | Mapping[str, Any] | str | Path | None = None,
    mapper: Mapper | None = None,
    objective: str | None = None,
    mapspace: str | None = None,
    time_limit_s: float | None = None,
    rules: str | None = None,
    double: bool = False,
    shares: Mapping[str, Sequence[str]] | None = None,
    fused: bool = True,
) -> Mapped:
    """The best loop nest of a cascade, with a proof; on a GPU, tiles by predicted time.

    `mapper` is a function of your own, `(workload, machine, *, objective, capacities)` to a
    `hwmodel.mappers.mapper.Proposal`, in place of ours: what it proposes is counted anew, and the
    certificate says how far it is from a proven bound; the options below are our mapper's.

    `objective` is traffic (default), energy, latency or edp; of a network on a microcontroller
    latency (default), energy, traffic or sram. `mapspace` is the set of nests that is searched
    (default: any tile sizes); `rules` how counts are charged (overlap, ports); `double` keeps every
    tile twice; `shares` names the tensors of each buffer, where there are several; `fused=False`
    maps every Einsum by itself; after `time_limit_s` seconds the search of one Einsum on an array
    ends, with the best found and its proven gap. On a GPU the tiles of our own kernel are ranked by
    predicted time; `kernel` names one Einsum where there are several kernels. On a microcontroller
    a network is mapped patch by patch, for the library `kernel`; on an FPGA its layers are given
    reuse factors (hls4ml). Raises `CapacityError` where nothing fits, with what would suffice.

    Files of Timeloop and AccelForge, which say machine, work and, if any, the mapping to count, are
    asked about in words: `hw.ask("map", timeloop=["arch.yaml", "problem.yaml"])`.
    """

def papers(
    names: Sequence[str] | str = (),
    *,
    moves: bool = False,
) -> Claims:
    """Published claims, recomputed by the model; exit status 1 where one does not hold.

    With `moves` each input of a claim's program, a number of the workload or of a machine, is
    changed in turn, and the answer is what moved each claim: status 1 where nothing moves one.
    """

def parallelise(
    workload: Cascade | Stack | Training | Serving,
    on: Hardware | str | Path,
    *,
    kernel: str | Library | Mapping[str, Any] | None = None,
    parallel: Division | Mapping[str, Any] | None = None,
    topology: Topology | Mapping[str, Any] | str | Path | None = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
    objective: str = "time",
) -> Parallelised:
    """The best of all legal ways to divide a model's phase over devices.

    `on` is as many of a device as are to share the model, `h200 * 64`; `objective` is "time", the
    seconds of the step, or "throughput", tokens a second with as many such batches under way as a
    pipeline has stages, where their caches fit. Divisions are tp, cp, dp, pp, ep, etp, sp,
    micro-batches of a pipeline, how rows go to experts (`dispatch`), and of a step of training
    whether beside other kernels (`overlap`) and, where it does not say them, its micro-batch, what
    it computes again and chunks of a pipeline (`vp`), with layers dealt to stages by their seconds.
    Bounds rule out what cannot be among the three best by any of the costs, so that best, runner-up
    and front are those of all (`searched` says of which). Raises `CapacityError` where none fits.
    """

def place(
    routing: Routing | ndarray[tuple[Any, ...], dtype[Any]] | Sequence[Any] | str | Path | Frame,
    on: Hardware | str | Path | None = None,
    *,
    devices: int | None = None,
    nodes: int | None = None,
    topology: Topology | str | Path | None = None,
    kind: str | None = None,
    domains: Sequence[str] | None = None,
    experts: int | None = None,
    objective: str | None = None,
    token_bytes: float | str | None = None,
    tokens: int = 4096,
    choices: int = 1,
    token_s: float = 0.0,
    slots: int | None = None,
    slack: int = 0,
    memory: float | str | None = None,
    expert_bytes: float | str | None = None,
    shared_experts: int = 0,
    pinned: Mapping[tuple[int, int], int] | None = None,
    forbidden: Mapping[tuple[int, int], tuple[int, ...]] | None = None,
    time_limit_s: float = 60.0,
    gap: float = 0.0,
    seed: int = 0,
    mapper: Mapper | None = None,
    progress: Callable[[float, float, float], None] | None = None,
) -> PlaceAnswer:
    """Experts on devices, so that few tokens cross, with a proven bound and its gap.

    `routing` is read from a file of traces, counts or loads (`hwmodel.experts.traces`) or given;
    loads also as an array, `(layers, experts)` or `(experts,)`. The devices are those of `on`, such
    as `h200 * 8`, or `devices`, the first of a topology, by default all of it. `objective` is
    crossings (default), hops, seconds or load; load where there are no transitions, of which loads
    and single layers say nothing. `memory` of a device and `expert_bytes` limit how many experts of
    each layer it holds, beside `shared_experts` of each layer that every device holds; `pinned` and
    `forbidden` name devices by (layer, expert). With a topology and `token_bytes` the times of a
    step of `tokens` tokens with `choices` experts each are predicted before and after; `token_s` is
    what an expert takes for a token. With `slots` for each layer hot experts get copies, apart from
    the placement. `mapper` is a function of your own, as in `map`, from the routing and
    `hwmodel.mappers.placement.problem.Problem` to a `Proposal` of the device of each expert,
    `(layers, experts)`. Ctrl-C returns the best so far. Raises `InputError`, `CapacityError` where
    the experts have no room, `SolverError` where constraints leave no way.
    """

def predict(
    workload: Cascade | Stack | Training | Serving,
    on: Hardware | str | Path,
    *,
    kernel: str | Library | Mapping[str, Any] | None = None,
    parallel: Division | Mapping[str, Any] | None = None,
    topology: Topology | Mapping[str, Any] | str | Path | None = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
    offload: Offload | Mapping[str, Any] | None = None,
    time_limit_s: float | None = None,
) -> Estimate:
    """Time, energy, traffic and memory of a workload on a device, with a 90 % interval.

    `on` is a machine, the name of a shipped one or a path; `kernel` the library whose kernels run
    (default: torch's choice), by name, as a value or by family, `{"attention": "cudnn"}`;
    `parallel` how a model is divided over its devices, `{"tp": 8, "pp": 2}` (tp, pp, dp, ep, etp,
    cp, sp; how rows go to experts, `dispatch`; whether halves of a batch take turns, `overlap`);
    `topology` what joins them, where that is more than one switch: a value, a table, or
    the name or file of one; `engine` what runs a model's phase, "vllm" (default: torch, plain and
    unfused); `l2` is "warm" where a kernel's work is repeated on the same activations, with the
    weights of six layers in turn, as public tables are mostly timed (default: cold, as between
    other kernels); `offload` what of a model lies in a host's memory or on a drive and streams
    layer by layer, `{"rate": "24 GB/s", "window": 3}` (`spine.offload`); `time_limit_s` the seconds
    that the search for mappings on memories and arrays may take, all layers together (default: 60):
    the answer has the best found, and by layer how far better another could be. In a pipeline
    `time_s` is that of the `batch` through all stages, and `full_tokens_per_s` counts as many
    batches under way as there are stages.
    Sizes and hardware numbers may be arrays that broadcast: the answer's fields are arrays then.
    Raises `InputError` for values that make no sense and `CoverageError` for what no model covers.
    """

def profile(
    trace: str | Path,
    on: Hardware | str | Path,
    *,
    kernel: str | Library | Mapping[str, Any] | None = None,
    l2: str | None = None,
    top: int = 20,
    config: str | None = None,
    engine: str | None = None,
    tp: int | None = None,
    dp: int | None = None,
    input: int | None = None,
    output: int | None = None,
    requests: int | None = None,
) -> Profiled | Benchmarked:
    """How far each kernel of a measured run is from its prediction, and from its limit.

    `trace` is a file of torch.profiler (with `record_shapes=True` calls have shapes, without it
    nothing is predicted), or a CSV of Nsight Systems or Nsight Compute; or results of a benchmark
    of vLLM (`serve`, `throughput`, `latency`) or SGLang (`bench_serving`,
    `bench_offline_throughput`), of which the same stream is simulated. `on` is the device: that of
    the run, where what is measured and what is predicted shall agree. `config`, `engine`, `tp` and
    `dp` are of a benchmark whose file does not say them, or says others; `input`, `output` and
    `requests` of an offline one whose file says them not.
    """

def program(
    program: Program | Mapping[str, Any] | str | Path,
    on: Hardware | str | Path | None = None,
    *,
    batch: int = 1,
    rate_per_s: float | None = None,
    programs: int = 200,
    seed: int = 0,
) -> Priced | Streamed:
    """What a program of model calls takes: latency with its critical path, tokens, joules, dollars.

    `program` is a value, a table, or a file of steps, each a call of a model, a tool, a program
    within or a choice; `on` the machine of all models that name none; `batch` how many such
    programs run in step, as one batch: latency is each one's, all else one program's share. With
    `rate_per_s` so many `programs` come at that rate (Poisson) and share engines of vLLM, in whose
    queues their calls wait.
    """

def report(
    workload: Cascade | Stack | Training | Serving | None = None,
    on: Hardware | str | Path | None = None,
    *,
    kernel: str | Library | Mapping[str, Any] | None = None,
    parallel: Division | Mapping[str, Any] | None = None,
    topology: Topology | Mapping[str, Any] | str | Path | None = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
    against: Sequence[Hardware | str | Path] | str | None = None,
    study: str | None = None,
    out: str | None = None,
) -> Reported:
    """A prediction, or a study, as one page to hand on: what, why, how sure, and what would help.

    The page (`out`, or `.html` of the answer) stands by itself and can be printed: the finding,
    memory, where the time goes, the roofline, intervals and the rows that they rest on, what would
    help, other machines (`against`; default: well-known ones of its kind), assumptions, and the
    command to repeat it. `study` is a YAML file of a case and its axes in place of one workload.
    Raises as `predict` does.
    """

def sensitivity(
    workload: Cascade | Stack | Training | Serving,
    on: Hardware | str | Path,
    *,
    kernel: str | Library | Mapping[str, Any] | None = None,
    parallel: Division | Mapping[str, Any] | None = None,
    topology: Topology | Mapping[str, Any] | str | Path | None = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
    swing: float = 0.2,
) -> Sensitivity:
    """How time and energy follow each number of a device, one at a time.

    Elasticities, and swings where a number falls and rises by the share `swing`. Sizes and the
    machine's numbers must be scalars. Raises as `predict` does.
    """

def validate(
    on: str = "h200",
) -> Validation:
    """How wrong the predictions are, on measured shapes that no fit has seen.

    Errors of the shipped calibration on the rows of `validation/data` that it never saw. Raises
    `InputError` for a device of which nothing was measured.
    """

class _Devices:
    def __call__(self) -> tuple[str, ...]: ...
    def __getitem__(self, name: str) -> Hardware: ...
    a10: Hardware
    a100: Hardware
    a100_40gb: Hardware
    a100_pcie: Hardware
    a30: Hardware
    a40: Hardware
    aie_like: Hardware
    b200: Hardware
    b300: Hardware
    epyc_7763: Hardware
    esp32_s3: Hardware
    ethos_u55: Hardware
    ethos_u65: Hardware
    eyeriss: Hardware
    flat: Hardware
    flat_edge: Hardware
    fusemax: Hardware
    gaudi_3: Hardware
    gb200: Hardware
    gb300: Hardware
    gh200: Hardware
    h100: Hardware
    h100_nvl: Hardware
    h100_pcie: Hardware
    h20: Hardware
    h200: Hardware
    i9_14900: Hardware
    jetson_agx_orin: Hardware
    jetson_nano: Hardware
    jetson_orin_nano: Hardware
    l4: Hardware
    l40: Hardware
    l40s: Hardware
    mi210: Hardware
    mi250x: Hardware
    mi300x: Hardware
    mi325x: Hardware
    mi350x: Hardware
    mi355x: Hardware
    nrf52840: Hardware
    peer_a2: Hardware
    peer_a3: Hardware
    raspberry_pi_4: Hardware
    raspberry_pi_5: Hardware
    rk3588: Hardware
    rp2040: Hardware
    rtx_3090: Hardware
    rtx_4060: Hardware
    rtx_4090: Hardware
    rtx_5090: Hardware
    rtx_pro_6000: Hardware
    spatten: Hardware
    stm32f412: Hardware
    stm32f746: Hardware
    stm32f765: Hardware
    stm32h743: Hardware
    stm32n6: Hardware
    stm32u585: Hardware
    t4: Hardware
    tpu_v4: Hardware
    tpu_v5e: Hardware
    tpu_v5p: Hardware
    tpu_v6e: Hardware
    tpu_v7: Hardware
    trainium2: Hardware
    u250: Hardware
    u280: Hardware
    v100: Hardware
    xeon_8380: Hardware
    xeon_8480: Hardware
    zcu102: Hardware
    zcu104: Hardware
    def __getattr__(self, name: str) -> Hardware: ...

devices: _Devices

class _Engines:
    def __call__(self) -> tuple[str, ...]: ...
    def __getitem__(self, name: str) -> Engine: ...
    sglang: Engine
    transformers: Engine
    trtllm: Engine
    vllm: Engine
    def __getattr__(self, name: str) -> Engine: ...

engines: _Engines

class _Libraries:
    def __call__(self) -> tuple[str, ...]: ...
    def __getitem__(self, name: str) -> Library: ...
    block_sparse: Library
    cublas: Library
    cublas_fast_accum: Library
    cublas_row_scales: Library
    cublas_row_scales_fast_accum: Library
    cudnn: Library
    cudnn_tensor_memory: Library
    cusparselt: Library
    cusparselt_8_bit: Library
    deep_gemm: Library
    efficient_attention: Library
    flash_attention_2: Library
    flash_attention_4: Library
    latent_attention: Library
    matmul_ogs: Library
    quantised: Library
    recurrences: Library
    sglang: Library
    sglang_fp8: Library
    sglang_fp8_block: Library
    sglang_nvfp4: Library
    torch: Library
    torch_row_scales: Library
    triton: Library
    trtllm: Library
    trtllm_attention: Library
    trtllm_attention_e4m3: Library
    trtllm_attention_fp8: Library
    trtllm_experts: Library
    trtllm_experts_fp8_mxfp4: Library
    trtllm_experts_mxfp4: Library
    trtllm_experts_narrow: Library
    trtllm_experts_nvfp4: Library
    trtllm_fp8: Library
    trtllm_fp8_block: Library
    trtllm_int8: Library
    trtllm_latent_attention: Library
    trtllm_latent_attention_fp8: Library
    trtllm_nvfp4: Library
    trtllm_weight_only: Library
    vllm: Library
    vllm_cutlass: Library
    vllm_deep_gemm: Library
    vllm_experts: Library
    vllm_experts_cutlass: Library
    vllm_experts_fp8_block: Library
    vllm_experts_fp8_mxfp4: Library
    vllm_experts_marlin: Library
    vllm_experts_mxfp4: Library
    vllm_experts_narrow: Library
    vllm_experts_nvfp4: Library
    vllm_flash_attention_2: Library
    vllm_flash_attention_3: Library
    vllm_flash_attention_3_fp8: Library
    vllm_flashinfer_fp8: Library
    vllm_fp8: Library
    vllm_fp8_block: Library
    vllm_narrow_cache: Library
    vllm_nvfp4: Library
    vllm_scaled_experts: Library
    vllm_triton_attention_fp8: Library
    vllm_trtllm_gen: Library
    vllm_trtllm_gen_fp8: Library
    weight_only: Library
    def __getattr__(self, name: str) -> Library: ...

libraries: _Libraries

class _Models:
    def __call__(
        self,
    ) -> Cards:
        """The models that come with the package; with a name or a config, what is held of one."""
    def __getitem__(self, name: str) -> Model: ...
    bert_base: Model
    command_a_111b: Model
    command_r7b: Model
    command_r_35b: Model
    deepseek_r1: Model
    deepseek_v2_lite: Model
    deepseek_v3: Model
    deepseek_v3_2: Model
    falcon_7b: Model
    falcon_h1_7b: Model
    gemma_2_27b: Model
    gemma_2_2b: Model
    gemma_2_9b: Model
    gemma_3_12b: Model
    gemma_3_1b: Model
    gemma_3_27b: Model
    gemma_3_4b: Model
    gemma_4_26b_a4b: Model
    glm_4_5: Model
    glm_4_5_air: Model
    glm_4_6: Model
    glm_5: Model
    gpt2: Model
    gpt_neox_20b: Model
    gpt_oss_120b: Model
    gpt_oss_20b: Model
    granite_3_3_8b: Model
    jamba_v0_1: Model
    kimi_k2: Model
    lfm2_1_2b: Model
    llama_2_13b: Model
    llama_2_70b: Model
    llama_2_7b: Model
    llama_3_1_405b: Model
    llama_3_1_70b: Model
    llama_3_1_8b: Model
    llama_3_2_1b: Model
    llama_3_2_3b: Model
    llama_3_3_70b: Model
    llama_4_maverick: Model
    llama_4_scout: Model
    mamba2_2_7b: Model
    mamba_2_8b: Model
    minimax_m2: Model
    ministral_8b: Model
    mistral_7b_v0_1: Model
    mistral_7b_v0_3: Model
    mistral_large_123b: Model
    mistral_nemo_12b: Model
    mistral_small_24b: Model
    mixtral_8x22b: Model
    mixtral_8x7b: Model
    nemotron_3_nano_30b_a3b: Model
    olmo_2_13b: Model
    olmo_2_7b: Model
    olmo_3_7b: Model
    olmoe_1b_7b: Model
    opt_6_7b: Model
    phi_2: Model
    phi_3_5_moe: Model
    phi_3_mini: Model
    phi_4: Model
    phi_4_mini: Model
    qwen2_5_0_5b: Model
    qwen2_5_14b: Model
    qwen2_5_1_5b: Model
    qwen2_5_32b: Model
    qwen2_5_3b: Model
    qwen2_5_72b: Model
    qwen2_5_7b: Model
    qwen3_0_6b: Model
    qwen3_14b: Model
    qwen3_1_7b: Model
    qwen3_235b_a22b: Model
    qwen3_30b_a3b: Model
    qwen3_32b: Model
    qwen3_4b: Model
    qwen3_5_35b_a3b: Model
    qwen3_5_397b_a17b: Model
    qwen3_8b: Model
    qwen3_coder_480b_a35b: Model
    qwen3_next_80b_a3b: Model
    qwen3_vl_8b: Model
    seed_oss_36b: Model
    smollm3_3b: Model
    starcoder2_15b: Model
    t5_base: Model
    vit_base: Model
    whisper_large_v3: Model
    def __getattr__(self, name: str) -> Model: ...

models: _Models
