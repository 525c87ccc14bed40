import platform
from pathlib import Path

import pytest
import torch

from sr_gan.devices import free_memory, out_of_memory, without_tf32
from sr_gan.machine import cpu_computes_bf16, cpu_name, keep_freed_memory, return_freed_memory


def test_the_processor_has_a_name() -> None:
    assert cpu_name()


@pytest.mark.parametrize(
    ("line", "computes"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("Features\t: fp asimd bf16\n", True),
    ],
)
def test_bf16_is_what_linux_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, computes: bool
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\n{line}")
    monkeypatch.setattr("sr_gan.machine._INFO", info)
    assert cpu_computes_bf16() == computes
    info.unlink()
    assert not cpu_computes_bf16()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_glibc_takes_the_settings_and_their_defaults() -> None:
    assert keep_freed_memory()
    assert keep_freed_memory(False)
    assert return_freed_memory()


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert not keep_freed_memory()
    assert not return_freed_memory()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("Unable to find an engine to execute this computation"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
    ],
)
def test_a_gpus_memory_can_be_full_in_many_words(error: RuntimeError) -> None:
    assert out_of_memory(error)


def test_a_cpus_memory_that_is_full_and_an_error_of_another_kind() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    with pytest.raises(RuntimeError) as other:
        torch.zeros(2) @ torch.zeros(3)
    assert not out_of_memory(other.value)
    assert not out_of_memory(ValueError("CUDA out of memory"))


def test_memory_of_cuda_graphs_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    segments = [
        {"device": 0, "segment_pool_id": (0, 0), "total_size": 500, "allocated_size": 200},
        {"device": 0, "segment_pool_id": (0, 1), "total_size": 2000, "allocated_size": 100},
        {"device": 1, "segment_pool_id": (0, 0), "total_size": 70, "allocated_size": 0},
    ]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda: segments)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 6000))
    assert free_memory(torch.device("cuda", 0)) == 1300
    monkeypatch.setattr(torch.cuda, "get_allocator_backend", lambda: "cudaMallocAsync")
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 800)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 300)
    assert free_memory(torch.device("cuda", 0)) == 1500


def test_tf32_is_off_for_as_long_as_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with without_tf32():
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32
