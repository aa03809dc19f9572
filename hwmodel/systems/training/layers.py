"""What a device runs, exchanges and keeps for one micro-batch: of one layer, and of the ends.

A layer's stages are those of its blocks for one device; a compiler fuses its row operations as an
engine does (`gpu.engines`). Their gradients are cascades (`einsum.backward`). What a layer keeps
are the tensors that its gradients read, in bytes of 16-bit activations:

    not divided by tp    inputs of norms and of products whose columns are divided; masks of dropout
                         after attention and after the MLP, a byte each. With sp they are
    divided by tp        all else

`recompute="full"` keeps a layer's input alone. "selective" means what the software means by it:

    Megatron     all is kept but what attention's scores leave (arXiv 2205.05198)
    FSDP         the layer's input, what attention makes, and what every second product makes,
                 counted as torch has them: queries, keys and values apart, gate and up too
                 (torchtitan's policy for each operation, pytorch/torchtitan)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hwmodel.einsum.attention_shape import AttentionShape, attention
from hwmodel.einsum.backward import STATISTIC_BYTES, Backward, backward
from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.counts import flops, footprint_bytes
from hwmodel.einsum.workloads.blocks.block import Block, Step
from hwmodel.einsum.workloads.blocks.convolution import Convolution
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import softmax
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.machines.gpu.engines import fused
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.efficiency import EXPERT_LAUNCHES
from hwmodel.systems.training.looked import Seen, workload_of

WIDE_BYTES = 2
"""Of what is no product, and of what is kept."""
MASK_BYTES = 1
"""Of an element's mask of dropout."""
PROBABILITY_BYTES = 2
HEAD, ROUTER = "head", "mixture.router"
PROJECTED = "attention.qkv"
SCORES = "scores"
"""Part of attention's own products, neither operand of which is a weight."""
APART = {PROJECTED: 3, "mlp.gate-up": 2}
"""Roles of products that are several in torch's modules."""
KEPT_WIDE = (HEAD, ROUTER)
"""Roles of products that stay in 16 bits where others are narrower."""
COLUMN_PASSES = 2
"""Over what a product read and its gradient, for factors of columns: the largest of each column is
known when all rows were read, and the cast, which also turns them, reads them again."""
UNIT = 16
"""Rows and columns of narrow products come in multiples of so many (cuBLAS); others stay wide."""
WIDEST = 256
"""Head dimension up to which fused attention has a backward pass (FlashAttention-2, cuDNN)."""
WIDE_HEADS = "latent-attention"
"""Library of the forward pass of attention with wider heads."""
BACKWARD = 2.5
"""Products of attention's backward pass over those of its forward pass: five over two."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A cascade, how often it runs (a share where sp or cp divide it further), and in which pass.

    `role` is "forward", "inputs" or "weights" (gradients of those); `again`: the share of it that a
    backward pass runs again under selective recomputation; `library` runs it where it is no other;
    `part` is the first word of its stage's role ("attention", "mlp"), or that of scores.
    """

    cascade: Cascade
    times: float
    role: str
    again: float = 0.0
    library: str | None = None
    part: str = ""

    @property
    def launches(self) -> float:
        """How often it is launched: a further time for each further expert of a device, in part."""
        origin = self.cascade.origin
        several = origin is not None and origin.workload == "grouped_gemm"
        each = origin.arguments["experts"] if origin is not None and several else 1
        return float(max(1.0, self.times) * (1 + EXPERT_LAUNCHES * (each - 1)))


@dataclass(frozen=True)
class Left:
    """What a piece keeps from the forward pass to the backward in one way to do so.

    `beside_bytes` is what its backward pass holds at a time on top of what all pieces keep, and
    `again` whether it is computed again before that.
    """

    kept_bytes: float
    beside_bytes: float
    again: bool


@dataclass(frozen=True, eq=False)
class Piece:
    """One layer, or one end of the network, on one device, for one micro-batch.

    Attributes:
        kernels: of all passes.
        reduced_bytes: of the all-reduces over tp that follow its forward pass, one by one.
        beside: of each of them the kernels of the product whose input it gathers, with sp, and of
            the product that it sums, by their places.
        routed_bytes: of a device's tokens, which its two exchanges over ep in the forward pass send
            to `picks` of `choices` experts; 0 without experts, or where they are not divided.
        key_bytes: of keys and values that attention exchanges over cp.
        kept_bytes: from the forward pass to the backward.
        scores_bytes: of them, what selective recomputation does not keep.
        gathered_bytes: of inputs of products that FSDP's tp gathers whole for gradients of weights,
            what another device keeps under sp.
        input_bytes: of its input, which it keeps where it is computed again.
        working_bytes: of what its widest forward kernel reads and makes, beside its input.
        flops: of its forward pass, every pair of attention counted (the convention of MFU).
        least_flops: the same of those pairs alone that masks leave, or fewer.
        attended_bytes: of what it keeps, operands of attention by products, the scores' own apart.
        signs: elements that functions with a corner at 0 made: their gradients read on which side,
            which what the product behind them keeps tells.
        dense, experts: parameters held on this device, which are trained; `frozen` are not, and
            count as numbers in 16 bits of as many bytes.
        left: what it keeps, by what is computed again, where that is known of all pieces together.
    """

    kernels: tuple[Kernel, ...]
    reduced_bytes: tuple[float, ...]
    beside: tuple[tuple[int, int], ...]
    routed_bytes: float
    picks: int
    choices: int
    key_bytes: float
    kept_bytes: float
    scores_bytes: float
    gathered_bytes: float
    input_bytes: float
    working_bytes: float
    flops: float
    least_flops: float
    dense: float
    experts: float
    frozen: float = 0.0
    attended_bytes: float = 0.0
    signs: float = 0.0
    left: Mapping[str, Left] = field(default_factory=lambda: {})


def piece(
    blocks: Sequence[Block],
    work: Training,
    how: Execution,
    *,
    layer: int | None,
    last: bool = False,
    seen: Seen | None = None,
) -> Piece:
    """The blocks of one layer (`layer` is its number), or of an end of the network."""
    looked = seen or Seen()
    tokens = how.micro_batch * work.sequence // how.cp
    queries = work.sequence // how.cp
    if last:  # every token has logits
        step = Step(tokens, 1, 1, decoding=False, routing="balanced")
    else:
        step = Step(how.micro_batch, queries, queries, decoding=False, routing="balanced")
    whole = looked.stages(blocks, step, work, 1, layer)
    mine = looked.stages(blocks, step, work, how.tp, layer)
    kernels: list[Kernel] = []
    kept = scores = counted = masked = keys = gathered = signs = attended = 0.0
    saved = Saved()
    beside: list[tuple[int, int]] = []
    first: int | None = None
    by_operation = how.zero == 3 and how.recompute == "selective" and layer is not None
    for stage, undivided in zip(mine, whole, strict=True):
        divided = _size(stage.cascade) < _size(undivided.cascade)
        share = 1.0 if divided or not how.sp else 1 / how.tp
        shape = attention(stage.cascade)
        if shape is None:
            made, narrowing = _narrowed(stage, work, how)
            back = looked.gradients(made[-1])
            again = 1 - saved.add(stage) if by_operation else 0.0
            place = len(kernels) + len(made) - 1
            kernels += _kernels(stage, made, back, share, again, narrowing)
            first = place if first is None and back.weights else first
            if stage.collective is not None and stage.collective.op == "all_reduce":
                beside += [(place if first is None else first, place)] * int(stage.times)
                first = None
            before = looked.gradients(undivided.cascade).kept or {}
            saves = looked.gradients(stage.cascade).kept or {}
            signs += float(stage.times) * float(back.signs)
            kept += sum(
                float(size) * (1 / how.tp if how.sp and size == before.get(name) else 1)
                for name, size in saves.items()
            )
            if _is_product(stage) and how.sp:
                gathered += sum(
                    float(size) * (1 - 1 / how.tp)
                    for name, size in saves.items()
                    if size == before.get(name)
                )
            # A product's gradient of weights has its FLOPs, without a bias.
            counted += float(stage.times) * sum(float(flops(each)) for each in back.weights)
        else:
            several = float(stage.times) * how.cp
            made_kernels, more = _attention(stage.cascade, shape, several, work)
            kernels += made_kernels
            read = sum(float(footprint_bytes(n, stage.cascade)) for n in shape.read)
            kept += read
            scores += more * how.cp
            saved.size += more * how.cp + float(
                sum(
                    footprint_bytes(n, stage.cascade)
                    for n in (shape.query, shape.value, shape.output)
                )
            )
            keys += sum(float(footprint_bytes(n, stage.cascade)) for n in shape.read[1:])
            pairs = float(shape.batch_heads) * float(shape.queries) * float(shape.keys)
            if work.attention != "flash":
                attended += read + pairs * how.cp * PROBABILITY_BYTES * work.dropout
            every = 2 * several * pairs * float(shape.head_dim + shape.value_dim)
            counted += every
            masked += every * (1 - _least_seen(shape))
        if work.dropout and stage.role == "residual":
            kept += tokens * work.model.network.hidden * MASK_BYTES * (1 / how.tp if how.sp else 1)
    hidden_bytes = tokens * work.model.network.hidden * WIDE_BYTES
    input_bytes = float(hidden_bytes) / (how.tp if how.sp else 1)
    kept += scores
    scores = max(0.0, kept - saved.size - input_bytes) if by_operation else scores
    weights = [weight for block in blocks for weight in block.weights()]
    picks, choices = _picks(weights)
    return Piece(
        kernels=tuple(kernels),
        reduced_bytes=tuple(
            float(s.collective.bytes)
            for s in mine
            if s.collective is not None and s.collective.op == "all_reduce"
            for _ in range(int(s.times))
        ),
        beside=tuple(beside),
        routed_bytes=float(hidden_bytes) if how.ep > 1 and picks else 0.0,
        picks=picks,
        choices=choices,
        key_bytes=keys if how.cp > 1 else 0.0,
        kept_bytes=kept,
        scores_bytes=scores,
        gathered_bytes=gathered,
        input_bytes=input_bytes,
        working_bytes=input_bytes + max(map(_moving, kernels), default=0.0),
        flops=counted,
        least_flops=counted - masked,
        attended_bytes=attended,
        signs=signs,
        dense=float(sum(w.elements(how) for w in weights if w.part != "experts")),
        experts=float(sum(w.elements(how) for w in weights if w.part == "experts")),
    )


class Saved:
    """Bytes that selective recomputation by operation keeps, product by product in their order."""

    def __init__(self) -> None:
        self.size = 0.0
        self._before = 0

    def add(self, stage: Stage) -> float:
        """Count a stage's products; the share of what they make that is kept.

        That of queries and values is added where attention reads them.
        """
        if not _is_product(stage):
            return 0.0
        several = APART.get(stage.role, 1)
        places = range(self._before, self._before + several)
        self._before += several
        share = sum(place % 2 == 0 for place in places) / several
        if stage.role != PROJECTED:
            made = sum(float(footprint_bytes(n, stage.cascade)) for n in stage.cascade.outputs)
            self.size += share * made * float(stage.times)
        return share


def _is_product(stage: Stage) -> bool:
    return workload_of(stage) == "gemm"


def _least_seen(shape: AttentionShape) -> float:
    """Share of pairs that a mask leaves on average, or less: half of a causal window."""
    seen = shape.keys if shape.window is None else min(float(shape.window), float(shape.keys))
    return float(shape.density) * float(seen) / float(shape.keys) / (2 if shape.causal else 1)


def loss(work: Training, how: Execution, vocabulary: int) -> tuple[Kernel, ...]:
    """Softmax and its gradient over the logits of all tokens, in fp32."""
    tokens = how.micro_batch * work.sequence // how.cp
    made = softmax(tokens, max(1, vocabulary // how.tp), dtype="fp32", name="loss")
    back = backward(made)
    return (Kernel(made, 1, "forward"), *(Kernel(each, 1, "inputs") for each in back.inputs))


def left_out(network: Network) -> tuple[str, ...]:
    """What steps of a network have that no block says."""
    every = (*network.before, *network.after, *(b for each in network.layers for b in each.blocks))
    if not any(isinstance(block, Convolution) and block.folded for block in every):
        return ()
    return (
        "training: convolutions of a config are products of their windows, batch norms folded in: a"
        " step's norms are left out, and what layers keep is counted window by window; networks by"
        " name, such as config=resnet50, have both",
    )


def _size(cascade: Cascade) -> float:
    """Bytes of all that a cascade reads and makes."""
    return float(sum(footprint_bytes(n, cascade) for n in (*cascade.inputs, *cascade.outputs)))


def _moving(kernel: Kernel) -> float:
    """Bytes of activations that a forward kernel reads and makes."""
    tensors = kernel.cascade.tensors
    names = (n for n in (*kernel.cascade.inputs, *kernel.cascade.outputs))
    if kernel.role != "forward":
        return 0.0
    made = sum(footprint_bytes(n, kernel.cascade) for n in names if tensors[n].role != "weight")
    return float(made)


def _picks(weights: Sequence[Weight]) -> tuple[int, int]:
    """Experts of a token, of how many; the most that any block has."""
    found = [(w.used or w.copies, w.copies) for w in weights if w.part == "experts"]
    return max(found, default=(0, 0))


def _narrowed(
    stage: Stage, work: Training, how: Execution
) -> tuple[tuple[Cascade, ...], tuple[tuple[Cascade, str], ...]]:
    """What runs for a stage, and what its gradients need narrowed before them, in which pass.

    Experts are those of this device; narrow products stand after a pass that narrows their rows.
    Factors of rows are others along the columns, over which gradients of weights sum: what the
    product read, and its gradient, are narrowed once more for those.
    """
    cascade, origin = stage.cascade, stage.cascade.origin
    if origin is None or origin.workload not in ("gemm", "grouped_gemm"):
        return (cascade,), ()
    if origin.workload == "grouped_gemm" and how.ep > 1:
        cascade = _local(cascade, how.ep)
    given = origin.arguments
    odd = any(given[cols] % UNIT for cols in ("K", "N"))
    if work.precision in ("bf16", "fp16") or stage.role in KEPT_WIDE or odd:
        return (cascade,), ()
    kinds = {"dtype": work.precision, "weight_dtype": work.precision, "out_dtype": work.wide}
    rows = given["M"] if "M" in given else given["tokens"] * given["top_k"]
    to, of = (
        fused.narrowed(
            rows, given[cols], work.wide, out="fp8", name=f"{stage.name} {what}to narrow"
        )
        for cols, what in (("K", ""), ("N", "gradient "))
    )
    again = ((to, "weights"), (of, "weights")) * COLUMN_PASSES if work.scales == "row" else ()
    return (to, cascade.but(**kinds)), ((of, "inputs"), *again)


def _local(cascade: Cascade, ep: int) -> Cascade:
    """The experts of one of `ep` devices, which the rows of all of them reach."""
    assert cascade.origin is not None
    given = cascade.origin.arguments
    experts = given["experts"] // ep
    picks = min(given["top_k"], experts)
    rows = given["tokens"] * given["top_k"]
    return cascade.but(experts=experts, top_k=picks, tokens=rows // picks)


def _kernels(
    stage: Stage,
    made: Sequence[Cascade],
    back: Backward,
    share: float,
    again: float,
    narrowing: Sequence[tuple[Cascade, str]],
) -> list[Kernel]:
    """Forward and backward of a stage; row operations on whole rows are divided by sp."""
    each_layer = float(stage.times)
    times = each_layer * (share if not back.weights else 1)
    part = stage.role.partition(".")[0]
    found = [Kernel(each, times, "forward", again, part=part) for each in made]
    found += [Kernel(each, times, role) for each, role in narrowing]
    found += [Kernel(each, times, "inputs") for each in back.inputs]
    return found + [Kernel(each, each_layer, "weights") for each in back.weights]


def _attention(
    cascade: Cascade, shape: AttentionShape, times: float, work: Training
) -> tuple[list[Kernel], float]:
    """Attention, fused or by products and a softmax of its scores; and the bytes these leave."""
    if work.attention == "flash" and max(shape.head_dim, shape.value_dim) > WIDEST:
        forward = Kernel(cascade, times, "forward", library=WIDE_HEADS)
        back = replace(forward, times=BACKWARD * times, role="inputs")
        statistics = float(shape.batch_heads * shape.queries) * STATISTIC_BYTES
        return [forward, back], statistics
    if work.attention == "flash":
        back = [Kernel(each, times, "inputs") for each in backward(cascade).inputs]
        statistics = float(shape.batch_heads * shape.queries) * STATISTIC_BYTES
        return [Kernel(cascade, times, "forward"), *back], statistics
    heads, queries, keys = int(shape.batch_heads), int(shape.queries), int(shape.keys)
    kinds: dict[str, Any] = {"batch": heads, "dtype": work.wide}
    parts = (
        gemm(queries, keys, int(shape.head_dim), **kinds, name="scores"),
        softmax(heads * queries, keys, dtype=work.wide, name="probabilities"),
        gemm(queries, int(shape.value_dim), keys, **kinds, name="values"),
    )
    made = [Kernel(each, times, "forward", again=1.0, part=SCORES) for each in parts]
    for each in parts:
        back = backward(each)
        made += [Kernel(grad, times, "inputs") for grad in (*back.inputs, *back.weights)]
    elements = float(heads) * queries * keys
    left = PROBABILITY_BYTES * (2 if work.dropout else 1) + MASK_BYTES * work.dropout
    return made, elements * left
