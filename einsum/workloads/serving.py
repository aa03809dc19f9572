"""Serving as a workload: a config, the requests that come, and how it is divided."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.einsum.workloads.serving_stream import Serving, stream
from hwmodel.quantity.checked import checked


@checked
def serving(
    config: Model | Mapping[str, Any] | str | Path,
    input: int | Mapping[str, Any] | None = None,
    output: int | Mapping[str, Any] | None = None,
    rate_per_s: float | None = None,
    concurrency: int | None = None,
    trace: str | None = None,
    arrivals: str = "poisson",
    arrival_cv: float | None = None,
    requests: int | None = None,
    duration_s: float | None = None,
    prefix: int = 0,
    prompts: int | None = None,
    frontend: float | str | None = None,
    max_batch_tokens: int | None = None,
    max_batch: int | None = None,
    max_graph_tokens: int | None = None,
    memory_fraction: float | None = None,
    scheduler: str | None = None,
    routing: str = "round-robin",
    price_per_hour: float | None = None,
    power_limit: float | str | None = None,
    seed: int = 0,
    devices: int | None = None,
    prefill: Mapping[str, Any] | str | None = None,
    link: float | str | None = None,
    by_layer: bool = True,
    kv_offload: Mapping[str, Any] | str | None = None,
    draft: Mapping[str, Any] | str | None = None,
    attention: Mapping[str, Any] | str | None = None,
    tp: int | None = None,
    pp: int | None = None,
    dp: int | None = None,
    ep: int | None = None,
    dispatch: str | None = None,
    dtype: str | None = None,
    weight_dtype: str | None = None,
    kv_dtype: str | None = None,
    activation_dtype: str | None = None,
    quantise: str | None = None,
) -> Serving:
    """Requests to replicas of a model: `rate_per_s`, `concurrency` or `trace` says when they come.

    A replica is divided by tp, pp and ep (`dispatch` says how rows go to its experts); with
    `devices`, dp, the number of replicas, is what is left of them. With `prefill`
    ("tp=2,dp=3,on=h100") other engines read the prompts, and send their caches over `link`. The
    other arguments are those of `hwmodel.model` and of the fields of `Serving`.
    Raises `InputError` naming the argument at fault.
    """
    formats = {"dtype": dtype, "weight_dtype": weight_dtype, "kv_dtype": kv_dtype}
    formats |= {"activation_dtype": activation_dtype, "quantise": quantise}
    read = model(config, **{name: value for name, value in formats.items() if value is not None})
    return stream(
        read,
        input=input,
        output=output,
        rate_per_s=rate_per_s,
        concurrency=concurrency,
        trace=trace,
        arrivals=arrivals,
        arrival_cv=arrival_cv,
        requests=requests,
        duration_s=duration_s,
        prefix=prefix,
        prompts=prompts,
        frontend=frontend,
        max_batch_tokens=max_batch_tokens,
        max_batch=max_batch,
        max_graph_tokens=max_graph_tokens,
        memory_fraction=memory_fraction,
        scheduler=scheduler,
        routing=routing,
        price_per_hour=price_per_hour,
        power_limit=power_limit,
        seed=seed,
        devices=devices,
        prefill=prefill,
        link=link,
        by_layer=by_layer,
        kv_offload=kv_offload,
        draft=draft,
        attention=attention,
        tp=tp,
        pp=pp,
        dp=dp,
        ep=ep,
        dispatch=dispatch,
    )
