from collections.abc import Mapping

class DataFrame:
    def __init__(self, data: Mapping[str, object]) -> None: ...
