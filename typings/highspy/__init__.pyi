class cb:
    class HighsCallbackType:
        kCallbackMipInterrupt: cb.HighsCallbackType
        kCallbackSimplexInterrupt: cb.HighsCallbackType

    class HighsCallbackInput:
        user_interrupt: bool

class Named:
    name: str

class HighsInfo:
    mip_dual_bound: float

class Highs:
    def run(self) -> Named: ...
    def resetGlobalScheduler(self, blocking: bool) -> None: ...
    def getModelStatus(self) -> Named: ...
    def getInfo(self) -> HighsInfo: ...
