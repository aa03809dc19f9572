"""Systems of the literature that users ask for: which are modelled, which in part, and why not.

`modelled`: its mechanism is in the package and its figures are claims here; `partly`: it can be
asked for, but figures of it miss the numbers that they rest on, or a part of it has no model; `not
modelled`: the package has no mechanism for it.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

How: TypeAlias = Literal["modelled", "partly", "not modelled"]


@dataclass(frozen=True)
class System:
    """A system, where it is from, how far it is modelled, and by what or why not."""

    name: str
    paper: str
    how: How
    why: str


def _table(how: How, text: str) -> tuple[System, ...]:
    """Lines of a name, a paper and a reason."""
    rows = ([cell.strip() for cell in line.split("|")] for line in text.strip().splitlines())
    return tuple(System(name, paper, how, why) for name, paper, why in rows)


MODELLED = _table(
    "modelled",
    """
    FuseMax | arXiv 2406.10491 | spatial arrays: cascade, binding and architecture of its ablation
    FlashAttention | arXiv 2205.14135 | fused kernels, and unfused ones as a stack
    FlashAttention-2 | arXiv 2307.08691 | rates of both passes on an A100, and in training
    I/O complexity of attention | arXiv 2402.07443 | bounds on any schedule, in both regimes
    FlashAttention-4 | arXiv 2603.05451 | clocks of each unit of a tile; rate as a prior
    Eyeriss | its machine | dataflow row-stationary on arrays; its memories' rates were not read
    2:4 weights | data sheet | structured densities on arrays; kernels of GPUs are not
    SpAtten | arXiv 2012.09852 | pruned attention on its pipeline; counts of its simulator
    PBS-Attn | arXiv 2510.21270 | modifier pbs-attn
    SparseD | arXiv 2509.24014 | modifier sparsed, passes as a schedule
    Re-ttention | arXiv 2505.22918 | modifier re-ttention
    Flux Attention | arXiv 2604.07394 | modifier flux-attention
    ZipVL | arXiv 2410.08584 | modifier zipvl
    VISOR | arXiv 2603.23495 | modifier visor; its abstract has no figure
    Keyformer | arXiv 2403.09054 | cache policy keyformer
    RazorAttention | arXiv 2407.15891 | cache policy razor-attention
    HACK | arXiv 2504.09261 | cache policy hack, on VAR
    Block Transformer | arXiv 2406.02657 | architecture block_transformer
    Mixture-of-Recursions | arXiv 2507.10524 | modifier, or recursions layer by layer
    Hogwild! | arXiv 2504.06261 | modifier hogwild
    VersatileFFN | abstract | modifier versatile-ffn
    Duo-LLM | abstract | modifier duo-llm, or a choice of MLPs
    FlashFFTConv | arXiv 2311.05908 | a kernel of ours and its schedule, measured on an H200
    Flash-KMeans | arXiv 2603.09229 | a kernel of ours and its schedule, measured on an H200
    FlashKAT | arXiv 2505.13813 | a kernel of ours and its schedule, measured on an H200
    BASED | arXiv 2402.18668 | architecture, layer by layer
    Hourglass MLP | abstract | architecture residual_mlp
    SimpleNet | arXiv 1608.06037 | a list of layers
    LeYOLO | repository | operations by resolution; its layers were not read
    Fast and Accurate Model Scaling | arXiv 2103.06877 | counts of networks from lists of layers
    Bottleneck Sampling | arXiv 2503.18940 | programs of calls
    EfficientVLA | arXiv 2506.10100 | programs of calls
    Kinetics | arXiv 2506.05333 | programs of calls, keys and values at a price in FLOPs
    ATTS | abstract | programs of calls
    Snell et al. | abstract | programs of calls
    Plan-and-Budget | abstract | programs of calls
    ParallelSearch | abstract | programs of calls
    Video Translation | arXiv 2512.13904 | programs of calls
    Megatron-LM (arXiv 2104.04473) | arXiv 2104.04473 | steps of training in pipelines
    Korthikanti et al. (arXiv 2205.05198) | arXiv 2205.05198 | memory of steps of training
    Frontier (arXiv 2312.12705) | arXiv 2312.12705 | steps of training; the device is a prior
    Sequence Parallelism (arXiv 2105.13120) | arXiv 2105.13120 | tokens over devices, by memory
    Vocabulary Parallelism | arXiv 2411.05288 | pipelines whose stages share both ends; 1F1B
    TokenRing | arXiv 2412.20501 | tokens over devices, queries sent round
    Zeppelin | arXiv 2509.21841 | zones by predict and the event simulation; not its remapping
    C4 | arXiv 2406.04594 | paths hashed and planned; what its failures cost was not read
    TPI-LLM | arXiv 2410.00531 | tensor parallelism on slow links, weights that stream
    MoE-Lens | arXiv 2504.09345 | weights that stream, a host that attends; its rivals are not run
    WTA-CRS | arXiv 2305.15265 | sampled weight gradients, with adapters; a decoder for its T5
    3D U-Net, reversible | arXiv 2104.09648 | volumes in training, blocks that are found again
    ScaLearn | abstract | frozen adapters, and vectors or numbers that scale them
    MKOR | NeurIPS 2023 | work and exchanges of its updates; not the steps that it spares
    TALL-masks, Consensus | abstract | bytes of weights in formats of a bit
    ZO2 | arXiv 2503.12668 | steps of forward passes alone, weights that stream both ways
    DistZO2 | abstract | the same, in slices over devices
    ZeRO-Offload | arXiv 2101.06840 | states in a host, which updates; rates of V100 are priors
    MemAscend | arXiv 2505.23254 | buffers of a host's memory, as they are made and as they fit
    Nexus | arXiv 2507.06608 | prompts and tokens side by side on shares of a device
    Splitwise | arXiv 2311.18677 | pools of prompts and of tokens, shipped caches
    Lamina | arXiv 2405.01814 | devices that attend apart from weights; its traces were not run
    MCUNetV2 | arXiv 2110.15352 | patches on microcontrollers
    hls4ml (wa-hls4ml) | arXiv 2511.05615 | layers unrolled on FPGAs, with LUTs, flip-flops, FIFOs
    M3ViT | arXiv 2210.14793 | experts in expert order; energy of its board was not read
    Edge-MoE | ICCAD 2023 | experts in expert order
    BottleFit | arXiv 2201.02693 | splits between a device and a server
    Sequential Gradient Coding | ICLR 2023 | replicas that slow down at random, and codings
    Tutel | arXiv 2206.03382 | all-to-all in two dimensions; its layers were not read
    EPLB | released code | copies of experts, its balancer beside ours
    DeepEP | released code | dispatch once and of low latency, as algorithms of all-to-all
    DeepSeek-V3 serving | released profile | halves of a batch that take turns
    SGLang, large expert parallel | blog | the same, with copies of experts
    SmallThinker | arXiv 2507.20984 | experts read ahead of attention; four boards have no numbers
    """,
)
PARTLY = _table(
    "partly",
    """
    LeanAttention | arXiv 2405.10480 | stream-K is a schedule of kernels; its tables were not read
    Sparseloop | MICRO 2022 | densities, formats, gates and skips; its figures were not read
    AVO | arXiv 2603.24517 | rates of FlashAttention-4; its changes inside of a kernel are not
    LazyEviction | arXiv 2506.15969 | cache policy lazy-eviction; half of a cache is its budget
    Task-KV | arXiv 2501.15113 | cache policy task-kv; no figure of cost was read
    Bottlenecked Transformers | abstract | modifier bottlenecked; no figure of cost is published
    HyperZZW | abstract | workload hyper_zzw; no figure of hardware is published
    Diffusion language models (LMs) | see SparseD | passes over all tokens, programs of calls
    AgentTTS | abstract | programs of calls; no figure of cost is published
    1B beats 405B | abstract | programs of calls; no figure of cost was read
    SCALE | abstract | choices in programs; the share of hard questions is not published
    EllieSQL | abstract | choices in programs; tokens of its pipelines were not read
    Retrieval at long contexts (RAG scaling) | abstract | programs of calls with cached prompts
    V_1, R-Capsule, dynamic logits fusion | abstracts | programs of calls with counts of one's own
    Metis, Act Wisely | abstracts | tools in programs with chances of one's own
    InfEdit | abstract | programs of calls; UNets of its size have no config here
    ExFlow | arXiv 2401.08383 | placement of experts with a proof; its traces are not released
    Speculative MoE | arXiv 2503.04398 | clusters of experts by a table of tokens
    vLLM hyperparameters | abstract | searches over divisions and batches; its tables were not read
    EfficientLLM | abstract | formats and attention kinds by predict; its metrics were not read
    Beyond Inference | arXiv 2403.12981 | queues of stations; times of its stages were not read
    AI Flow | arXiv 2411.12469 | splits over tiers, drafts and rounds; claims in words alone
    SAMO | arXiv 2507.07883 | forward and backward passes of a step; no figure of cost was read
    Efficient controllable multi-task learning (MTL) | abstract | lists of layers of any width
    Fragile Mastery | abstract | decode on boards; phones have no numbers here
    """,
)
NOT_MODELLED = _table(
    "not modelled",
    """
    The Price of Freedom | arXiv 2506.13523 | tensor products in angular degrees have no workload
    MHR | abstract | no router sends tasks to adapters
    TensorBLEU | abstract | sorts of n-grams against a loop in Python
    LexLIP | abstract | inverted indices
    lambda-ECLIPSE | abstract | training of a diffusion prior
    Test-time training for long contexts | abstract | gradient steps while answering
    AlgoPerf, AutoTransfer, CARINOX, FREESON, REDSearcher | abstracts | no figure of hardware
    FPF, PACED, SCLCS, ScaleZero, CIB budget forcing | abstracts | no figure of hardware
    Science of Scaling Agent Systems | abstract | no figure of hardware
    Inference-Time Scaling for Complex Tasks | abstract | no figure of hardware
    When Life Gives You Samples, Revision or Re-solving | abstracts | no figure of hardware
    Contextual Memory Reweaving, General-purpose ICL | abstracts | no figure of hardware
    Variance-reduced optimizers, quantum slack-free | abstracts | no figure of hardware
    """,
)
SYSTEMS = (*MODELLED, *PARTLY, *NOT_MODELLED)
