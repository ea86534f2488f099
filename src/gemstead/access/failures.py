"""How often an address may fail to sign in, and what is kept of it."""

from __future__ import annotations

from collections import OrderedDict

MAX_ADDRESSES = 4096
"""Remembered at once; the one that failed longest ago is forgotten first."""


class FailureLimit:
    """`burst` failures at once, then one each `interval_s`, for each address.

    Only what fails is counted and refused: somebody else's failures behind the same address lock no valid key out,
    and a secret of 256 bits is not found by trying. The limit is there for the load and for the noise.
    """

    def __init__(self, burst: int = 10, interval_s: float = 6.0) -> None:
        self._burst_s = burst * interval_s
        self._interval_s = interval_s
        self._due_s: OrderedDict[str, float] = OrderedDict()
        """When all failures of an address will have been worked off (GCRA's theoretical arrival time)."""

    def wait_s(self, address: str, now_s: float) -> float:
        """How long until this address may fail again; 0: it may."""
        return max(0.0, self._due_s.get(address, 0.0) + self._interval_s - self._burst_s - now_s)

    def note(self, address: str, now_s: float) -> None:
        """One failure. Those beyond the limit are not added: who keeps trying is not punished for longer."""
        if self.wait_s(address, now_s) > 0:
            return
        self._due_s[address] = max(self._due_s.get(address, 0.0), now_s) + self._interval_s
        self._due_s.move_to_end(address)
        if len(self._due_s) > MAX_ADDRESSES:
            self._due_s.popitem(last=False)
