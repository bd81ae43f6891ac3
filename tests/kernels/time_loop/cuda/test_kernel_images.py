"""Images of kernels: compiled once, cached whole or not at all, PTX where the compiler does not know a GPU."""

import subprocess
import sys

import pytest

from benchmarks.gpu.compiled_kernels import kernel_source
from phloem.kernels.time_loop.cuda import kernel_images, nvrtc
from phloem.kernels.time_loop.cuda.kernel_images import compilations, kernel_image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path))
    return tmp_path / "kernels"


def test_image_is_compiled_once_for_each_architecture(cache):
    before = len(compilations)
    first = kernel_image(kernel_source("value"), 90)
    assert kernel_image(kernel_source("value"), 90) == first
    assert len(compilations) == before + 1
    assert kernel_image(kernel_source("value"), 80).image != first.image
    assert len(compilations) == before + 2
    assert (first.architecture, first.is_ptx) == (90, False)


def test_image_of_an_unknown_gpu_is_ptx_of_the_newest_before_it():
    newest = max(nvrtc.find_nvrtc().architectures)
    found = kernel_image(kernel_source("value"), newest + 50)
    assert found.is_ptx
    assert found.architecture == newest
    assert f".target sm_{newest}".encode() in found.image
    assert b".entry phloem_fold" in found.image


@pytest.mark.parametrize("damage", ["torn", "altered", "empty"])
def test_damaged_image_in_the_cache_is_compiled_again(cache, damage):
    whole = kernel_image(kernel_source("value"), 90)
    (kept,) = cache.glob("*.cubin")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes({"torn": content[:-100], "altered": content, "empty": b""}[damage])
    before = len(compilations)
    assert kernel_image(kernel_source("value"), 90).image == whole.image
    assert len(compilations) == before + 1
    assert kernel_images.read_image(kept.name) == whole.image


def test_cache_that_cannot_be_written_costs_a_warning_and_no_image(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path / "file"))
    with pytest.warns(kernel_images.CacheWarning, match="not kept"):
        assert kernel_image(kernel_source("value"), 90).image[:4] == b"\x7fELF"


def test_processes_at_once_leave_one_whole_image(cache):
    script = (
        "from benchmarks.gpu.compiled_kernels import kernel_source\n"
        "from phloem.kernels.time_loop.cuda.kernel_images import kernel_image\n"
        "import hashlib; print(hashlib.sha256(kernel_image(kernel_source('adjoint'), 90).image).hexdigest())"
    )
    several = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [one.communicate()[0] for one in several]
    assert [one.returncode for one in several] == [0, 0, 0]
    assert len(set(said)) == 1
    assert len(list(cache.glob("*.cubin"))) == 1
    assert not list(cache.glob(".build-*"))


def test_text_that_does_not_compile_is_refused_with_the_compilers_words():
    with pytest.raises(nvrtc.NvrtcError, match=r"sm_90(.|\n)*undefined"):
        nvrtc.require_nvrtc().compile("__global__ void f() { missing(); }", "sm_90")


def test_without_nvrtc_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(nvrtc, "find_nvrtc", lambda: None)
    with pytest.raises(nvrtc.NvrtcError, match="pip install"):
        nvrtc.require_nvrtc()
