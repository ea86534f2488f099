"""Small GGUF files that every reader takes: right in form, random in content."""

import random
import struct


def gguf_bytes(num_bytes: int = 3_000_000, architecture: str = "gemma4", seed: int = 0) -> bytes:
    """A sound GGUF file of about `num_bytes`: one float tensor of random bits."""
    pair = [struct.pack("<Q", len(text)) + text for text in (b"general.architecture", architecture.encode())]
    record = pair[0] + struct.pack("<I", 8) + pair[1]
    name = struct.pack("<Q", len(b"token_embd.weight")) + b"token_embd.weight"
    num_elements = num_bytes // 128 * 32
    tensor = name + struct.pack("<IQIQ", 1, num_elements, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + record + tensor
    return head.ljust((len(head) + 31) // 32 * 32, b"\0") + random.Random(seed).randbytes(num_elements * 4)
