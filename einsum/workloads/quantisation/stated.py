"""Where a config says how its checkpoint is quantised, as one table.

The key is `quantization_config`, or `compression_config` in older files of compressed-tensors;
DeepSeek-V4 says the format of its experts beside it (`expert_dtype`).
"""

from collections.abc import Mapping
from typing import Any, cast

OLDER = "compression_config"
BESIDE = ("expert_dtype",)
"""Keys of the config itself that belong to the table."""


def stated(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with all that it says of quantisation under `quantization_config`."""
    found = dict(config)
    older = found.pop(OLDER, None)
    table: Any = found.get("quantization_config", older)
    if not isinstance(table, Mapping):
        return found if older is None else {**found, "quantization_config": older}
    beside = {key: found.pop(key) for key in BESIDE if key in found}
    return {**found, "quantization_config": {**beside, **cast(Mapping[str, Any], table)}}
