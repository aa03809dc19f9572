"""Which kernels a call of torch's operators (ATen) is, as cascades.

Operators are those of exported graphs, before or after decomposition, with torch's own names of
arguments (`native_functions.yaml`). What only changes how a tensor is looked at is no kernel; a
reshape that no view can have, `contiguous` and `clone` are copies. All else runs as eager torch
runs it: a kernel a call. An operator without a rule is refused by name.
"""

from collections.abc import Mapping

from hwmodel.einsum.importers.aten_images import convolution, folded, pooled, resampled, sampled
from hwmodel.einsum.importers.aten_layers import (
    attention_of,
    best,
    by_channel,
    counted,
    embedded,
    gathered,
    group_norm,
    grouped,
    in_order,
    linear,
    matmul,
    recurrent,
    rows,
    scattered,
    summed,
)
from hwmodel.einsum.importers.aten_pointwise import POINTWISE, filled, rules
from hwmodel.einsum.importers.calls import Call, Kernels, Rule, copied
from hwmodel.einsum.importers.strided import made, reduced
from hwmodel.einsum.workloads.rows import layernorm, rmsnorm, softmax
from hwmodel.quantity.errors import CoverageError


def _nothing(call: Call) -> Kernels:
    return ()


def _reshaped(call: Call) -> Kernels:
    """A view where one can be had; else a copy."""
    source = call.tensors[0]
    return () if source.viewable(call.out.shape) else copied(call)


def _made_dense(call: Call) -> Kernels:
    return () if call.tensors[0].dense else copied(call)


def _cast(call: Call) -> Kernels:
    return () if call.tensors[0].dtype == call.out.dtype else copied(call)


def _sum(kind: str) -> Rule:
    def rule(call: Call) -> Kernels:
        dims = call.given.get("dim")
        over = [dims] if isinstance(dims, int) else list(dims or ())
        return (reduced(call.name, kind, call.view("self"), over, call.out.dtype),)

    return rule


def _scan(call: Call) -> Kernels:
    """Running sums along the last dimension."""
    operand = call.view("self")
    columns = operand.shape[-1] if operand.shape else 1
    text = "SUM[a, b+1] = SUM[a, b] + X[a, b] ; SUM[a, 0] = 0\noutput SUM"
    sizes = (("a", operand.elements // columns), ("b", columns))
    return (made(call.name, text, sizes, (("X", operand.dtype), ("SUM", call.out.dtype))),)


RULES: Mapping[str, Rule] = {
    **rules(
        _nothing,
        *("view", "_unsafe_view", "permute", "transpose", "t", "numpy_T", "expand", "expand_as"),
        *("unsqueeze", "squeeze", "slice", "select", "split", "split_with_sizes", "chunk"),
        *("unbind", "alias", "detach", "detach_", "narrow", "as_strided", "view_as", "movedim"),
        *("swapaxes", "lift_fresh_copy", "lift", "dropout", "dropout_", "sym_size", "broadcast_to"),
        *("_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size", "empty"),
        *("broadcast_tensors", "meshgrid", "unfold", "sym_numel", "sym_stride", "tensor_split"),
        *("real", "imag", "hsplit", "vsplit", "dsplit", "unsafe_chunk", "unsafe_split"),
        *("_local_scalar_dense", "sym_storage_offset", "numel", "resolve_conj", "resolve_neg"),
        *("_assert_async", "native_dropout", "unflatten", "diagonal", "moveaxis", "item"),
        *(
            "empty_permuted",
            "empty_strided",
            "new_empty",
            "empty_like",
            "feature_dropout",
            "alpha_dropout",
            "mT",
            "adjoint",
        ),
    ),
    **rules(_reshaped, "reshape", "flatten", "_reshape_copy", "reshape_as"),
    **rules(_made_dense, "contiguous"),
    **rules(_cast, "to", "_to_copy", "type_as", "float", "half", "bfloat16"),
    **rules(
        copied,
        *("clone", "copy", "copy_", "cat", "stack", "pad", "constant_pad_nd", "roll", "flip"),
        *("repeat", "repeat_interleave", "upsample_nearest2d", "slice_scatter", "select_scatter"),
        *("tril", "triu", "masked_select", "pixel_shuffle", "pixel_unshuffle", "tile", "view_copy"),
        *("reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d"),
        *("replication_pad2d", "replication_pad3d", "im2col", "channel_shuffle", "rot90"),
        *("native_channel_shuffle", "upsample_nearest1d", "upsample_nearest3d", "masked_scatter"),
        *("_upsample_nearest_exact2d", "diag_embed", "hstack", "vstack", "concat", "movedim_copy"),
    ),
    **rules(
        filled,
        *("arange", "full", "zeros", "ones", "full_like", "zeros_like", "ones_like", "fill"),
        *("rand", "randn", "rand_like", "randn_like", "randint", "randperm", "bernoulli", "normal"),
        *("scalar_tensor", "new_zeros", "new_ones", "new_full", "eye", "linspace", "zero"),
    ),
    **POINTWISE,
    **rules(_sum("sum"), "sum", "nansum", "count_nonzero", "logsumexp"),
    **rules(_sum("mean"), "mean"),
    **rules(_sum("max"), "amax", "max", "argmax", "any", "aminmax"),
    **rules(_sum("min"), "amin", "min", "argmin", "all"),
    **rules(_sum("product"), "prod"),
    **rules(_sum("variance"), "var", "std", "var_mean", "std_mean"),
    **rules(_sum("norm"), "linalg_vector_norm", "norm"),
    **rules(_scan, "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"),
    **rules(rows(softmax), "softmax", "_softmax", "log_softmax", "_log_softmax"),
    **rules(rows(softmax), "_safe_softmax"),
    **rules(rows(layernorm), "layer_norm", "native_layer_norm"),
    **rules(rows(rmsnorm), "rms_norm", "_fused_rms_norm"),
    **rules(group_norm, "group_norm", "native_group_norm", "instance_norm"),
    **rules(
        by_channel,
        *("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm"),
        "_native_batch_norm_legit",
    ),
    **rules(linear, "linear"),
    **rules(matmul("self", "mat2"), "mm", "bmm"),
    **rules(matmul("self", "other"), "matmul"),
    **rules(matmul("self", "vec"), "mv"),
    **rules(matmul("self", "tensor"), "dot"),
    **rules(matmul("mat1", "mat2", "self"), "addmm"),
    **rules(matmul("batch1", "batch2"), "baddbmm", "addbmm"),
    **rules(grouped, "_grouped_mm"),
    **rules(
        attention_of,
        *("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"),
        *("_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention"),
        *(
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_fused_attention_overrideable",
        ),
    ),
    **rules(
        convolution,
        *("conv1d", "conv2d", "conv3d", "convolution", "_convolution"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    ),
    **rules(
        pooled("maximum"),
        *("max_pool1d", "max_pool2d", "max_pool3d"),
        *("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool1d_with_indices"),
        *("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
    ),
    **rules(
        pooled("average"),
        *("avg_pool1d", "avg_pool2d", "avg_pool3d"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
        *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
    ),
    **rules(resampled("bilinear"), "upsample_bilinear2d", "_upsample_bilinear2d_aa"),
    **rules(resampled("bicubic"), "upsample_bicubic2d", "_upsample_bicubic2d_aa"),
    **rules(sampled, "grid_sampler", "grid_sampler_2d"),
    **rules(folded, "col2im"),
    **rules(summed, "einsum"),
    **rules(recurrent, "lstm", "gru", "rnn_tanh", "rnn_relu"),
    **rules(embedded, "embedding", "embedding_bag", "_embedding_bag"),
    **rules(gathered, "index_select", "index", "gather", "take_along_dim", "take"),
    **rules(
        scattered,
        *("index_add", "index_add_", "scatter_add", "scatter", "index_put", "index_put_"),
        *("index_copy", "index_copy_", "scatter_reduce"),
    ),
    **rules(counted, "histc", "bincount"),
    **rules(best, "topk"),
    **rules(in_order, "sort", "argsort", "median", "kthvalue", "msort"),
}
"""Operator without its overload -> its kernels."""


def kernels(call: Call) -> Kernels:
    """The kernels of a call; raises `CoverageError` where no rule or no size is known."""
    rule = RULES.get(call.op) or RULES.get(call.op.removesuffix("_"))  # in its own place
    if rule is None:
        raise CoverageError(f"{call.op} is not modelled")
    return rule(call)
