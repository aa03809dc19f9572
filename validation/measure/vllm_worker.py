"""What each worker of a vLLM engine is asked while it is measured, on one GPU or on several.

`WorkerParts` is mixed into vLLM's worker (its option `worker_extension_cls`), in this process with
one GPU and in processes of their own with more, and is called through `engine.collective_rpc`.
"""

# pyright: basic, reportMissingImports=false

from typing import Any

ROUTER_DEVIATION = 40.0
"""Of a router's weights: vLLM draws those of the norm before it from +-1e-3, so that each of 2048
inputs is some 6e-4, and scores then deviate by 40 * 6e-4 * sqrt(2048), about 1."""


class WorkerParts:
    """Traces, memory and routed experts of one worker."""

    def trace_begin(self) -> None:
        """Starts torch's profiler (CUPTI) on this GPU, once it is idle."""
        import torch
        from torch.profiler import ProfilerActivity, profile

        torch.cuda.synchronize()
        self._trace = profile(activities=[ProfilerActivity.CUDA])
        self._trace.__enter__()

    def wait_for_gpu(self) -> None:
        """Returns once this GPU has done all that it was given."""
        import torch

        torch.cuda.synchronize()

    def trace_end(self) -> list[tuple[str, int, float]]:
        """Kernel name, calls and GPU seconds of all that ran since `trace_begin`."""
        self._trace.__exit__(None, None, None)
        found = self._trace.key_averages()
        del self._trace
        times = [(e.key, e.count, float(getattr(e, "self_device_time_total", 0.0))) for e in found]
        return [(name, calls, microseconds * 1e-6) for name, calls, microseconds in times
                if microseconds > 0]  # fmt: skip

    def memory_in_use(self) -> dict[str, int]:
        """Bytes that torch allocated and reserved on this GPU, and those free on it."""
        import torch

        return {
            "allocated_bytes": torch.cuda.memory_allocated(),
            "reserved_bytes": torch.cuda.memory_reserved(),
            "free_bytes": torch.cuda.mem_get_info()[0],
        }

    def spread_routers(self, deviation: float = ROUTER_DEVIATION) -> int:
        """Gives every router weights that spread tokens over experts; answers how many there are.

        The weights that vLLM draws are so small that scores tie in bf16, or that a bias (of the
        same size) decides for every token: all of them then choose the same experts.
        """
        model: Any = self.model_runner.model  # type: ignore[attr-defined]
        routers = [
            module
            for name, module in model.named_modules()
            if name.rsplit(".", 1)[-1] in ("gate", "router") and hasattr(module, "weight")
        ]
        for router in routers:
            weight = router.weight.data
            weight.copy_(weight.double().normal_(0.0, deviation))
            for name in ("weight_scale", "weight_scale_inv"):  # of a router in fp8
                scale = getattr(router, name, None)
                if scale is not None:
                    scale.data.fill_(1.0)
            for name in ("bias", "e_score_correction_bias"):
                bias = getattr(router, name, None)
                if bias is not None:
                    bias.data.zero_()
        return len(routers)

    def routes_begin(self) -> int:
        """Has every router count the experts that it chooses; answers the number of routers."""
        self._routes: list[tuple[int, int]] = []
        model: Any = self.model_runner.model  # type: ignore[attr-defined]
        found = (getattr(module, "router", None) for _, module in model.named_modules())
        routers: list[Any] = [router for router in found if hasattr(router, "set_capture_fn")]
        for router in routers:
            router.set_capture_fn(self._routed)
        return len(routers)

    def _routed(self, chosen: Any) -> None:
        self._routes.append((int(chosen.shape[0]), int(chosen.unique().numel())))

    def routes_taken(self) -> list[tuple[int, int]]:
        """(tokens, distinct experts chosen) of every routed layer since the last such call."""
        found, self._routes = self._routes, []
        return found
