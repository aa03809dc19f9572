"""Edge systems: BottleFit's bytes and operations, SmallThinker's sizes and rates.

BottleFit (WoWMoM 2022, arXiv 2201.02693): sizes follow from the released network. SmallThinker
(arXiv 2507.20984): sizes of the released models in Q4_0, and tokens/s from their model cards beside
a prediction for boards that nobody measured for us, hence the wide tolerance.
"""

from hwmodel.einsum.workloads.resnet import bottlefit, resnet
from hwmodel.hardware.catalogue import device
from hwmodel.systems.prefetch import Q4_0_BYTES, SMALLTHINKER_4B, SMALLTHINKER_21B, decode
from hwmodel.validation.papers.claim import Claim

BOTTLEFIT, SMALLTHINKER = "BottleFit", "SmallThinker"
RATES = (
    ("raspberry-pi-5", None, 28.77),
    ("raspberry-pi-5", 1e9, 0.75),
    ("rk3588", None, 39.76),
    ("i9-14900", None, 108.17),
    ("i9-14900", 1e9, 29.99),
)
"""Board, bytes of memory for weights (None: all), tokens/s of the 4B model in Q4_0."""


def claims() -> tuple[Claim, ...]:
    """Bytes and multiply-accumulates exactly; decode rates within a third."""
    return (*_bottlefit(), *_smallthinker())


def _bottlefit() -> tuple[Claim, ...]:
    code = "released source, version 2"
    head = bottlefit(12).layers[:3]
    macs = sum(layer.macs for layer in head)
    sizes = ((3, 2523), (6, 5046), (9, 7569), (12, 10092))
    sent = (
        Claim(
            *(BOTTLEFIT, f"bytes sent, {channels} channels", published),
            *(bottlefit(channels).layers[2].outputs_elements, 0.0, code),
        )
        for channels, published in sizes
    )
    share = macs / resnet("resnet152").macs
    return (
        *sent,
        Claim(BOTTLEFIT, "head weights", 12_480, sum(x.weights for x in head), 0.0, code),
        Claim(BOTTLEFIT, "head MACs", 120.6e6, macs, 5e-4, code),
        Claim(BOTTLEFIT, "head MACs, share of ResNet-152", 0.0105, share, 5e-3, code),
    )


def _smallthinker() -> tuple[Claim, ...]:
    card = "model card"
    found: list[Claim] = []
    for model, total, expert, active in (
        (SMALLTHINKER_4B, 4.03e9, 1.99e6, 255e6),
        (SMALLTHINKER_21B, 21.1e9, 3.32e6, 1.035e9),
    ):
        size = model.expert_parameters * Q4_0_BYTES
        found += [
            Claim(SMALLTHINKER, f"{model.name}: weights", total, model.parameters, 2e-3, card),
            Claim(SMALLTHINKER, f"{model.name}: bytes of an expert", expert, size, 2e-3, card),
            Claim(
                *(SMALLTHINKER, f"{model.name}: expert bytes a token", active),
                *(model.layers * model.active * size, 2e-3, card),
            ),
        ]
    for board, limit, published in RATES:
        ours = 1 / float(decode(SMALLTHINKER_4B, device(board), memory_bytes=limit).time_s)
        room = "all in memory" if limit is None else "1 GB of memory"
        quantity = f"4B tokens/s, {board}, {room}"
        found.append(Claim(SMALLTHINKER, quantity, published, ours, 1 / 3, card))
    return tuple(found)
