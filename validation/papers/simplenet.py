"""SimpleNet (arXiv 1608.06037) from a list of layers: parameters and operations, by the verbs.

Thirteen convolutions for images of 32 pixels a side, as its repository lists them
(Coderx7/SimpleNet_Pytorch, `simplenet_cifar_5m`); published are 5.48 M parameters and 652 M
multiply-accumulates.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from hwmodel.einsum.workloads.cnn import cnn
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

LAYERS = """
resolution: 32
layers:
  - {kind: conv, filters: 64, kernel: 3}
  - {kind: conv, filters: 128, kernel: 3, times: 3}
  - {kind: maximum, kernel: 2, stride: 2}
  - {kind: conv, filters: 128, kernel: 3, times: 2}
  - {kind: conv, filters: 256, kernel: 3}
  - {kind: maximum, kernel: 2, stride: 2}
  - {kind: conv, filters: 256, kernel: 3, times: 2}
  - {kind: maximum, kernel: 2, stride: 2}
  - {kind: conv, filters: 512, kernel: 3}
  - {kind: conv, filters: 2048}
  - {kind: conv, filters: 256}
  - {kind: maximum, kernel: 2, stride: 2}
  - {kind: conv, filters: 256, kernel: 3}
  - {kind: mean}
  - {kind: linear, filters: 10}
"""
SOURCE = "repository, CIFAR-10"


def counts(given: Given) -> tuple[Claim, ...]:
    """Parameters, and multiply-accumulates of an image."""
    listed = LAYERS.replace("resolution: 32", f"resolution: {given('side of the image', 32)}")
    listed = listed.replace("filters: 2048", f"filters: {given('filters of the widest', 2048)}")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "simplenet.yaml"
        path.write_text(listed, encoding="utf-8")
        stack = cnn(str(path))
    assert stack.layers is not None
    done = float(predict(stack, given.device("stm32h743")).flop) / 2
    return (
        Claim("SimpleNet", "parameters", 5.48e6, stack.layers.network.weights, 9.1e-4, SOURCE),
        Claim("SimpleNet", "multiply-accumulates", 652e6, done, 7.6e-4, SOURCE),
    )


PROGRAMS = (counts,)
