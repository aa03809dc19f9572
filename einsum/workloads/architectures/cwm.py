"""Code World Model: Llama with a window in three layers of four (`CwmConfig`)."""

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.record import Count

MODEL_TYPES = ("cwm",)


class Config(llama.Config):
    """The first layer of four has none."""

    head_dim: Count | None = 128
    sliding_window: Count | None = 8192

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or usual."""
        if self.layer_types is not None:
            return super().windows()
        layers = range(self.num_hidden_layers)
        return tuple(self.sliding_window if layer % 4 else None for layer in layers)
