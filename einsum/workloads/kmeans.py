"""The assignment step of k-means: for every point the nearest of the centroids.

    D[i, j] = sum over d of (X[i, d] - C[j, d])**2,    A[i] = argmin over j of D[i, j]

(Lloyd 1982, IEEE Transactions on Information Theory 28(2).) Distances are fp32 and need not be
stored; assignments are int32.
"""

from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.units import Amount

_TEXT = """
tensor C[j, d]: weight
D[i, j] = sum(d) square(X[i, d] - C[j, d])
A[i] = argmin(j) D[i, j]
"""


@checked
def kmeans(
    points: Amount, clusters: Amount, dims: Amount, dtype: str = "fp32", name: str = "kmeans"
) -> Cascade:
    """Assign `points` vectors of `dims` coordinates to the nearest of `clusters` centroids.

    Sizes are counts or arrays of them; `dtype` is the format of points and centroids. Raises
    `InputError` naming the argument at fault.
    """
    arguments: dict[str, Any] = {
        **{"points": points, "clusters": clusters, "dims": dims, "dtype": dtype, "name": name},
    }
    sizes = whole("kmeans", points=points, clusters=clusters, dims=dims)
    given = formats("kmeans", dtype=dtype)["dtype"]
    return instance(
        "kmeans",
        kmeans,
        _TEXT,
        sizes={"i": sizes["points"], "j": sizes["clusters"], "d": sizes["dims"]},
        dtypes={"X": given, "C": given, "D": "fp32", "A": "int32"},
        arguments=arguments,
        name=name,
    )
