"""Each folder keeps to a budget of code lines; `python tests/test_line_budget.py` prints it.

A code line holds code: blank lines, comments and docstrings are free. A budget is raised only by a
commit that says why.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUDGETS = {
    # Raised from 3,000: cascade texts and the config keys of six architectures are lines of code;
    # from 4,200: convolutional networks, their patches and TFLite files (400), and attention pruned
    # from layer to layer (60); convolutions by side, models and stacks in notebooks (200);
    # quantised checkpoints module by module (300); what is worked out of a stage once, and what a
    # model serves (100); quantisation as checkpoints state it, a file a method (900); networks as
    # lists of blocks, a file a block and a file an architecture (3,500: some 25 lines each);
    # a hundred architectures, some 45 lines each (4,000); encoders and hybrids of those, and
    # cache policies, a file each (600);
    # hybrids and encoder-decoders, their mixers and what is attended to in part (900);
    # vision towers of Qwen2-VL and Qwen2.5-VL, and attention in windows that stand apart (100);
    # diffusion transformers, whose vectors modulate tokens (200);
    # Gemma 3n: streams that predict and correct each other, and a low rank beside attention (300);
    # steps of several groups of sequences (100); towers and encoders, a file each (1,500);
    # modifiers of workloads: attention of which parts are computed, what chooses them, a file a
    # system (700);
    # decoders said layer by layer, what some tokens pass, blocks of tokens, Taylor series (700);
    # systems of the literature: what else of them is a block, a policy or a workload (1,800);
    # models divided in every way: degrees and who has which (140, from the spine), tokens over
    # devices, experts and their exchanges, stages of layers (360).
    # training: backward passes of cascades, attention's among them, and the step (350).
    # encoder-decoders of Gemma and of audio (300).
    # convolutions found by their ranks, families of image networks as files of blocks, their
    # expressions and formats under autocast (550).
    # pooling by its ranks, and draws of which one member has a share (100).
    # ONNX files, and specifications of Timeloop and AccelForge (450).
    # fused kernels of the literature: powers of scores, transforms, gradients (250).
    # where a token's choices of experts lead (80).
    # drafts that a step verifies, as a value that steps and streams share (150).
    # how a step of training sends tokens, and what its fp8's factors are for (40).
    # densities of tensors, by models and masks (130).
    # programs of torch.export: graphs, strided maps, and an operator a rule (900).
    # copies of experts (20).
    # numbers in order: an operator (15).
    # passes of a step of training, its host, its optimisers (200).
    # modules of a model that draft, names of formats (110).
    # networks of others' files: constants that are widened, open sides (50).
    # tensors of checkpoints, by name, against their networks (200); operators of exported
    # programs: volumes, transposed convolutions, resampling, recurrent layers, functions (250).
    # files of networks: copies, channels last, parts of maps, dilations (130).
    # places that an affine axis takes, of any number of ranks (50).
    # formats of what a step of training keeps of a parameter, ends that are not divided (100).
    # networks of maps in training: windows in three directions and their gradients, what a layer's
    # gradients read, units of a network (430); their formats under autocast (60).
    # networks in shorthand, products of two maps (200).
    # gradients read, units of a network (430); their formats under autocast (60);
    # adapters of other kinds than low ranks (60); which arguments are defaults (20).
    # a ReLU's gradient, adapters beside attention alone (30); which words say nothing (40).
    # which end an image's channels lie at, where they are kept (10).
    # names of networks of maps in a refusal (15).
    # pads of tensors, which are not stored (50).
    "einsum": 27_530,
    # Raised from 7,000: topologies and collectives as rounds of messages, bounds, nests of spatial
    # machines (1,500); routing statistics and what a placement of experts buys (1,000); machines
    # beyond the GPU and FlashAttention-4 (4,000); sweeps, their files and studies (1,400);
    # sensitivities, attribution, explanations, pictures, answers in notebooks (1,700); energy
    # tables by node (200). A machine class is some 700 lines.
    # Raised from 17,000: one reader for text, JSON and YAML with named limits, what sweeps note of
    # their parts and functions, and checks of what is given (600); what each library's kernels take
    # (250), and areas, stacks, levers and what does not fit (400); reductions and fp8 with a scale
    # for each row, alone and in experts (200); the simulation of events and the value that says how
    # a model is divided, on which pipelines, training and serving stand (1,000); each library of
    # kernels whole in a file, its priors and lines of the report with it (750), which were YAML
    # and tables in ten places; questions as records (200); cards of
    # models (100); what is alike worked out once, and one number apart from arrays (500).
    # Raised from 21,500: an engine that runs whole models, vLLM: what it fuses, its kernels'
    # schedules and priors, graphs, host, memory and the clock of a step (700), and what its routers
    # and formats take besides (150);
    # links whose switches add, protocols, levels that overlap, exchanges of experts (400);
    # libraries by the path of a file, and arguments of the face refused by name, words among
    # values and values among words (300);
    # counts of work, and tables of workers, as they are fastest made (100).
    # schedules of pipelines, and steps of training on them: backward passes, memory, exchanges
    # (2,500).
    # what published steps of training show, by software (200);
    # models divided in every way: networks of axes, flows through pipelines, collectives as joints,
    # blocks that divisions share, and the search of the best (700).
    # serving: arrivals, schedulers, blocks of cache, replicas and clusters in time (2,600),
    # lanes of pipelines, pools by every door and drafts that are verified (500).
    # deployments: their question, answer and page (500).
    # programs of model calls, pools of prompts and of tokens (200).
    # what unrolled layers take of an FPGA's fabric, configs of hls4ml, rows by layer (300).
    # what is kept across processes, tables that load late, words that shells complete (400).
    # scatters, scans, pooling and convolutions on GPUs (750).
    # arenas as planned, machines and mappings of Timeloop, laws of capacity (700).
    # schedules of fused blocks and what finds them (600).
    # published claims: what moves them, and their gallery (350).
    # a prediction as a page (350); names that notebooks complete (80).
    # profiles of a run beside its prediction (200).
    # answers are written as tables and traces (120).
    # reaches of bands and windows, by which nests of masked attention and of chains of
    # convolutions are counted (400).
    # rows of experts sent once, halves of a batch that take turns (130).
    # windows over arrays, by their words (150).
    # what runs ahead of a step; programs of calls, caps of power and phases that share a GPU, in
    # streams, and a second memory for their caches (1,250).
    # zeros on arrays: formats, gates and skips (280).
    # results of benchmarks beside their streams, cases in data frames (300).
    # Experts in 4 bits, Marlin's kernel, tiles of fp8 on Ada (300).
    # sorts of torch, rows out of tables, systems of chunks of the delta rule (250).
    # steps of training: what lies in a host, and on its drives (330); optimisers as products,
    # stragglers, failures (720).
    # boxes of turns on arrays (200); modules that predict further tokens, floors (250).
    # kernels of cuBLAS that copy by threads (350), clusters of two sides (150).
    # what executions of training have in common, bounds of searches, lines of tables (200).
    # cuDNN's menu of kernels for convolutions, and what it likes (400).
    # pipelines whose ranks take turns, all at once, and what searches ask once (150).
    # copies of maps on microcontrollers, areas by law with their range, FIFOs of streams (400).
    # streams at both ends of their steps, what a load generator's run is taken to be (100).
    # copies of maps on microcontrollers, areas by law with their range, moved reuse factors (200).
    # nearest names, and where all are listed; modules that load when they are asked for (60).
    # clusters of cuDNN's kernels and trees that say which it takes (100).
    # keys of specifications and configs that change nothing, told by name (450).
    # steps of training: what is kept in fewer bits, first layers again, numbers beside adapters;
    # throws of flows on paths (80).
    # streams whose tokens are attended to by a host or by devices of their own (150).
    # cuDNN in tensor memory, tiles that are held (40).
    # regimes of kernels, and few rows of cuBLAS (120).
    # graphs of other sizes, an engine in a process of its own, requests one by one (30).
    # a picture of steps of training side by side (40).
    # our product in Triton: pipelines of slices, persistent blocks, grouped ones apart (180).
    # TensorRT-LLM as it runs: pipelines' hosts, what is narrowed, engines on other makers' GPUs
    # (100).
    # Rings and trees through boxes of any numbers of ranks, over as many cards as the smallest has
    # (40); what TPUs' tori do with all of their links, broadcasts, launches from the host (80).
    # maps that steps of training keep, over time; gradients of filters (220).
    # Grouped products by bulk copies, and attention by warps of two kinds (200).
    # vLLM's Triton attention, heads that have another kernel, point by point (140).
    # Adapters behind layers (70).
    # what a division sends to experts, priced before its kernels (60).
    # kernels that clear, pad, round and slice around cuDNN's, and what starts sooner (60).
    # blocks of ZB-V whose passes differ (60).
    # Attention by warps of two kinds: its schedule, rule and tiles (190).
    # formats and defaults that answers tell, engines of deployments, refusals (240).
    # tori by symmetry, whose links training takes (170).
    # timelines of streams, commands of engines, what words say nothing of (320).
    # experts whose rows DeepEP brings, what sampled steps keep, an engine launched by Python (150).
    # kernels of fp32, which cuBLAS takes by its heuristic (100).
    # gradients of filters by cuDNN's menu (240).
    # what a host launches in training, told (10).
    # transforms by their butterflies (80).
    # convolutions that cuDNN's heuristic names no kernel for, one channel alone (40).
    # the largest of rows, as maxima that run down (50).
    "hwmodel": 46_930,
    # Raised from 3,500: tiles, levels, fusion and placement each bring problem, search and proof.
    # From 5,500: divisions of a model over devices: all legal ones, bounds, and their search.
    # From 5,800: deployments for a traffic: engines, their steady state, bounds, and their search;
    # simulated streams that have the last word (150).
    # From 6,600: sizes that arrays do not divide, best first, with a time limit; dataflows and
    # bindings as files, which map takes as predict does (600); bands and windows in fused
    # cascades (100).
    # Windows over arrays (100).
    # Fused cascades on three levels (200).
    # The fused search in files by concept (20); parts of ranks, merged ranks, and bands and
    # windows on three levels (500).
    # certificates of deeper machines (50).
    # how a step of training runs, beside its division (250).
    # Bounds of all choices over an array at once (100), networks layer by layer (200).
    "mappers": 8_980,
    "kernels": 3_000,
    # Raised from 3,500: collectives of several GPUs, and the plan that fits a user's own GPU.
    # Raised from 4,200: published figures recomputed, a module for each system (1,000);
    # the architectures whose parameters transformers counts (200); an engine on several GPUs,
    # its loaded steps and streams, and the store of its rows (200); steps of an engine, their
    # kernels by class, and the fit of both (500); published tables of collectives (100).
    # Raised from 6,200: the plan that fits an engine to a user's own machine (200);
    # claims of architectures, of further policies and networks (700).
    # tables of kernels that others timed, and fits to few or many of their rows (350);
    # tables of engines' attention and experts (100);
    # claims of clusters: long contexts, offload, networks, stragglers (500).
    # published throughputs of image networks (70).
    # what published throughput of engines says of serving (130).
    # claims of programs of calls and of shipped caches (200).
    # convolutions, scatters, scans, sorts and losses, measured and predicted (1,100).
    # shapes, calls and baselines of fused kernels (400).
    # claims as programs whose inputs can be changed, with what moves them (500); figures of
    # attention, of edge boards and of image networks (500).
    # readers of profiles: kernels, and calls with shapes (300).
    # copies of experts, bounds and scaled networks as claims (200).
    # exchanges of experts, zones, sampled rows, published and asked (300).
    # results of serving benchmarks of engines (150).
    # Errors of engines' kernels by GPU, and by rows that are fitted (150).
    # cases of sorts and of a delta rule (30).
    # MLPerf of language models (180).
    # products in passes of the profiler, vLLM's by its operator (140); thousands of convolutions
    # traced with a cold L2 (200).
    # states in a host, stragglers, optimisers: their systems (330).
    # all reports of Nsight Systems in one, tables of attention by size of head (50).
    # systems that are noted only (20).
    # designs of others, layer after layer, and what their reports say (130).
    # operators in traces, by the rules of exported programs (200).
    # intervals by regime (70).
    # what attends apart from weights: a host's scheduler, devices of their own (50).
    # parameters of relatives, family by family, and slopes with tiles held (120).
    # shared vocabularies of pipelines, adapters among published steps (40).
    # budgets of a benchmark of TensorRT-LLM, models and memories of its tables (70).
    # networks of timm, word by word (360).
    # a reversible network of volumes, adapters of other tasks (110).
    # few rows of a table, and units of its times (40).
    # what of a table was passed over (20).
    # more of SmallThinker's tables, calls around a published kernel, a picture of all claims (120).
    # passes that reuse features, T5 by its sizes, causes of misses (50).
    # Raised by 100: published figures and identities, each claim told which it is.
    "validation": 15_050,
}


def strings(source: str) -> tuple[set[int], set[int]]:
    """Return the numbers of the lines that strings of several occupy, and that bare ones do."""
    several: set[int] = set()
    bare: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                bare.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno != node.lineno:
            several.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return several, bare


def code_lines(source: str) -> int:
    """Return how many lines of Python source hold code."""
    several, bare = strings(source)
    written = {
        number
        for number, line in enumerate(source.splitlines(), 1)
        if (text := line.strip()) and text[0] != "#"
    }
    return len((written | several) - bare)


def files(folder: str) -> list[Path]:
    """Return the modules below a root folder, links not followed."""
    top = ROOT / folder
    linked = {path for path in top.iterdir() if path.is_symlink()}
    return [path for path in sorted(top.rglob("*.py")) if not linked.intersection(path.parents)]


def lines_by_file(folder: str) -> dict[Path, int]:
    """Return the code lines of each module below a root folder."""
    return {path: code_lines(path.read_text(encoding="utf-8")) for path in files(folder)}


@pytest.mark.parametrize("folder", BUDGETS)
def test_folder_keeps_to_its_budget(folder: str) -> None:
    lines = sum(lines_by_file(folder).values())
    assert lines <= BUDGETS[folder], (
        f"{folder}/ holds {lines} code lines, its budget is {BUDGETS[folder]}: "
        "shorten it, or raise BUDGETS in a commit that says why"
    )


LINES = 450
LONGER: dict[str, str] = {}


def test_no_file_is_longer_than_can_be_read_at_once() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for folder in BUDGETS
        for path in files(folder)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES
    }
    assert set(long) == set(LONGER), long


def test_blank_lines_comments_and_docstrings_are_free() -> None:
    source = '"""What it models.\n\nMore.\n"""\n\n# why\nx = """a\nb"""  # two lines\n\n\ny = 1\n'
    assert code_lines(source) == 3


def main() -> None:
    """Print code lines, budget and the longest file of each folder."""
    print(f"{'folder':<12}{'code lines':>11}{'budget':>8}  longest file")
    for folder, budget in BUDGETS.items():
        lines = lines_by_file(folder)
        longest = max(lines, key=lambda path: lines[path], default=None)
        note = f"{longest.relative_to(ROOT)} ({lines[longest]})" if longest else "-"
        print(f"{folder:<12}{sum(lines.values()):>11}{budget:>8}  {note}")


if __name__ == "__main__":
    main()
