"""What llama.cpp allocates beside weights and KV cache: the compute graph, the outputs, the process itself.

The graph's buffer follows from no published formula: the allocator reuses memory as tensors die. The formula here is
the set of tensors alive at the widest point of a layer. Against llama-server of November 2026 on a CPU it is exact for
Gemma 4 E2B and 12B, Gemma 3 270M and SmolLM2 135M, and off by -2.7 % (E4B), +3.1 % (26B-A4B) and +9.2 % (31B).
"""

from __future__ import annotations

from gemstead.core.shapes import ModelShape
from gemstead.core.units import MIB
from gemstead.planner.kv_cache import KvCells

_F32_BYTES = 4
_MASK_BYTES = 2
_INDEX_BYTES = 41
"""Token ids, positions and cache indices, per token."""

COMPUTE_ERROR = 0.1
GPU_COMPUTE_ERROR = 0.4
"""The kernels of a GPU keep other tensors: on an H100 31B takes 5 % less than on a processor, 26B-A4B 39 % more."""
RUNTIME_ERROR = 0.15

_PROCESS_BYTES = 16 * MIB
_VOCAB_ENTRY_BYTES = {"gemma4": 400}
_DEFAULT_VOCAB_ENTRY_BYTES = 128
"""Tokenizer tables per vocabulary entry. Gemma 4's 514906 merges make its own the largest. Measured as private memory
after loading, less KV cache, outputs and repacked weights: 21 MiB (SmolLM2, 49152 entries), 52 MiB (Gemma 3, 262144),
112 to 125 MiB (Gemma 4, 262144)."""

GPU_CONTEXT_BYTES = 660 * MIB
GPU_CONTEXT_ERROR = 0.3
"""Driver context, kernels and workspaces of one process on a card: what nvidia-smi counted beyond llama.cpp's own
buffers on an H100 with CUDA, November 2026. 594 MiB once loaded, whichever the model; after prompts of 4,000 tokens 618
(31B), 707 (E2B) and 711 MiB (26B-A4B). Other cards and drivers are assumed to be near."""

GPU_DRIVER_BYTES = 416 * MIB
GPU_DRIVER_ERROR = 0.3
"""What a GPU's driver and libraries add to the process on the host, there: 158 to 166 MiB of mapped libraries, 11 MiB
pinned, and private memory: 160 MiB once loaded, 215 to 310 MiB after fifteen prompts."""

INPUT_BUFFER_ERROR = 0.1


def compute_buffer_bytes(shape: ModelShape, cells: KvCells, num_slots: int, ubatch_tokens: int) -> int:
    """The reserved graph of one batch of `ubatch_tokens` with one output per slot, in bytes; see the module."""
    tokens = min(ubatch_tokens, cells.full * cells.num_streams)
    graph = tokens * (_live_bytes_per_token(shape) + _mask_bytes(shape, cells) + _INDEX_BYTES)
    return max(graph, output_buffer_bytes(shape, num_slots))


def input_buffer_bytes(shape: ModelShape, cells: KvCells, ubatch_tokens: int) -> int:
    """The host's part of the graph where a GPU computes all layers: embedding rows and their copies, masks, indices.

    Equal to the log of llama-server on an H100 for 26B-A4B and 31B at contexts of 4096 and 32768.
    """
    tokens = min(ubatch_tokens, cells.full * cells.num_streams)
    rows = _F32_BYTES * (2 * shape.hidden_size + shape.ple_size * shape.num_layers)
    return tokens * (rows + _mask_bytes(shape, cells) + _INDEX_BYTES)


def output_buffer_bytes(shape: ModelShape, num_slots: int) -> int:
    """One row of logits per slot."""
    return num_slots * shape.vocab_size * _F32_BYTES


def runtime_bytes(shape: ModelShape, num_slots: int) -> int:
    """What the process holds beside its big buffers: code, tokenizer tables, output rows."""
    entry_bytes = _VOCAB_ENTRY_BYTES.get(shape.architecture, _DEFAULT_VOCAB_ENTRY_BYTES)
    return _PROCESS_BYTES + shape.vocab_size * entry_bytes + output_buffer_bytes(shape, num_slots)


def _mask_bytes(shape: ModelShape, cells: KvCells) -> int:
    """Of one token's row in the masks of both kinds of layers."""
    has_sliding = any(layer.is_sliding for layer in shape.layers)
    return _MASK_BYTES * (cells.full + (cells.sliding if has_sliding else 0))


def _live_bytes_per_token(shape: ModelShape) -> int:
    """F32 values alive at once: gate, up and their product, a few hidden states, the queries, every layer's PLE row."""
    widest = max(layer.ffn_size for layer in shape.layers)
    queries = max(layer.num_heads * layer.head_dim for layer in shape.layers)
    hidden, ple = shape.hidden_size, shape.ple_size * shape.num_layers
    dense = 3 * widest + 3 * hidden + queries + (ple + hidden if ple else 0)
    routed = shape.num_experts_used * (3 * shape.expert_ffn_size + hidden) + 4 * hidden if shape.num_experts else 0
    return _F32_BYTES * max(dense, routed)
