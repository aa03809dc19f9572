"""vLLM's products are measured where vLLM is; elsewhere the case is refused, in words."""

# pyright: basic, reportMissingImports=false

import pytest

pytest.importorskip("torch", reason="the measuring code needs torch")

from hwmodel.quantity.errors import CoverageError
from hwmodel.validation.measure import vllm_products
from hwmodel.validation.measure.shapes import Case


def test_without_vllm_a_case_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_products, "find_spec", lambda name: None)
    vllm_products.operator.cache_clear()
    case = Case("gemm", vllm_products.KERNEL, "fp8", {"M": 16, "N": 32, "K": 64})
    with pytest.raises(CoverageError, match="expected an installed vLLM"):
        vllm_products.builder(case)
