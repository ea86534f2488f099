"""Random names that are drawn in stock: one call of the system for hundreds of them.

Such a call lets other threads run first, and a request that draws two would wait for them twice.
"""

from __future__ import annotations

import os

STOCK_BYTES = 4096


class RandomNames:
    """From the system's source, each byte given once. For names, not for keys; for one thread."""

    def __init__(self) -> None:
        self._stock = b""
        self._place = 0

    def hex(self, num_bytes: int) -> str:
        """As `secrets.token_hex`."""
        end = self._place + num_bytes
        if end > len(self._stock):
            self._stock, self._place, end = os.urandom(max(STOCK_BYTES, num_bytes)), 0, num_bytes
        name = self._stock[self._place : end].hex()
        self._place = end
        return name
