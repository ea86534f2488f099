"""Reading llama-server's memory out of its log. The lines are from llama-server 0.5.0-dev (0c1e570)."""

from __future__ import annotations

from gemstead.core.units import MIB
from gemstead.engines.llama_cpp_buffers import Buffers, read_buffers, read_kept_bytes

GEMMA4_LOG = """\
0.01.196.127 I llama_model_loader: Dumping metadata keys/values. Note: KV overrides do not apply in this output.
0.02.255.868 I load_tensors:   CPU_Mapped model buffer size =  2601.76 MiB
0.02.255.879 I load_tensors:   CPU_REPACK model buffer size =   999.42 MiB
0.07.150.305 I llama_context:        CPU  output buffer size =     1.00 MiB
0.07.150.308 I llama_kv_cache_iswa: creating non-SWA KV cache, size = 8192 cells
0.07.150.410 I llama_kv_cache:        CPU KV buffer size =    48.00 MiB
0.07.195.891 I llama_kv_cache: size =   48.00 MiB (  8192 cells,   3 layers,  1/1 seqs), K (f16):   24.00 MiB, V ...
0.07.195.915 I llama_kv_cache_iswa: creating     SWA KV cache, size = 1024 cells
0.07.195.994 I llama_kv_cache:        CPU KV buffer size =    12.00 MiB
0.07.196.741 I llama_kv_cache: size =   12.00 MiB (  1024 cells,  12 layers,  1/1 seqs), K (f16):    6.00 MiB, V ...
0.07.205.024 I sched_reserve:        CPU compute buffer size =   118.52 MiB
"""

SMOLLM2_LOG = """\
load_tensors:   CPU_Mapped model buffer size =    92.10 MiB
llama_context:        CPU  output buffer size =     0.19 MiB
llama_kv_cache:        CPU KV buffer size =    90.00 MiB
sched_reserve:        CPU compute buffer size =    17.51 MiB
"""


KEPT_LOG = """\
0.06.075.553 I srv        update:  - cache state: 0 prompts, 0.000 MiB (limits: 8192.000 MiB, 32768 tokens, 858993 est)
0.06.075.606 I slot   operator(): id  0 | task 0 | new prompt, n_ctx_slot = 32768, n_keep = 0, task.n_tokens = 5
0.06.099.499 I slot create_check: id  0 | task 0 | created context checkpoint 1 of 32 (pos_min = 0, pos_max = 0, n_tok\
ens = 1, size = 0.250 MiB)
0.09.075.553 I srv        update:  - cache state: 1 prompts, 100.500 MiB (limits: 8192.000 MiB, 32768 tokens, 858 est)
0.09.075.606 I slot   operator(): id  0 | task 9 | new prompt, n_ctx_slot = 32768, n_keep = 0, task.n_tokens = 500
0.09.099.499 I slot create_check: id  0 | task 9 | created context checkpoint 1 of 32 (pos_min = 0, pos_max = 99, n_to\
kens = 100, size = 20.000 MiB)
0.09.199.499 I slot create_check: id  0 | task 9 | created context checkpoint 2 of 32 (pos_min = 0, pos_max = 499, n_to\
kens = 500, size = 30.000 MiB)
"""


def test_kept_are_the_cached_prompts_and_the_checkpoints_of_the_last_one() -> None:
    assert read_kept_bytes(KEPT_LOG) == round(150.5 * MIB)
    assert read_kept_bytes(GEMMA4_LOG) == 0


def test_every_buffer_of_a_sliding_window_model_is_read() -> None:
    assert read_buffers(GEMMA4_LOG) == Buffers(
        mapped_bytes=round(2601.76 * MIB),
        repacked_bytes=round(999.42 * MIB),
        kv_full_bytes=48 * MIB,
        kv_sliding_bytes=12 * MIB,
        output_bytes=MIB,
        compute_bytes=round(118.52 * MIB),
        is_complete=True,
    )


def test_a_model_without_sliding_layers_has_one_cache() -> None:
    buffers = read_buffers(SMOLLM2_LOG)
    assert (buffers.kv_full_bytes, buffers.kv_sliding_bytes) == (90 * MIB, 0)
    assert buffers.repacked_bytes == 0


def test_weights_on_a_gpu_are_told_apart_and_added_up() -> None:
    log = """\
load_tensors:   CPU_Mapped model buffer size =  1000.00 MiB
load_tensors:        CUDA0 model buffer size =  2000.50 MiB
load_tensors:        CUDA1 model buffer size =   500.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =    10.00 MiB
llama_kv_cache:      CUDA1 KV buffer size =     5.00 MiB
"""
    buffers = read_buffers(log)
    assert buffers.device_weight_bytes == round(2500.5 * MIB)
    assert buffers.kv_full_bytes == 15 * MIB
    assert not buffers.is_complete


def test_the_parts_of_a_split_file_are_added_up() -> None:
    log = "load_tensors:   CPU_Mapped model buffer size =  10.00 MiB\n" * 3
    assert read_buffers(log).mapped_bytes == 30 * MIB


def test_a_log_cut_in_the_middle_is_incomplete() -> None:
    cut = GEMMA4_LOG[: GEMMA4_LOG.index("0.07.205")]
    assert not read_buffers(cut).is_complete


def test_other_text_is_passed_over() -> None:
    text = "model buffer size = 5.00 MiB\nload_tensors: CPU_Mapped model buffer size = lots MiB\n\x00\ufffd\n"
    assert read_buffers(text) == Buffers()
    assert read_buffers("") == Buffers()
