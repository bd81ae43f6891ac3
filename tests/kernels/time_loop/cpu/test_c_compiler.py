import contextlib
import ctypes
import errno
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.errors import WorkError
from phloem.kernels.time_loop.cpu import c_compiler
from phloem.kernels.time_loop.cpu.c_compiler import (
    CacheWarning,
    CompileError,
    Compiler,
    build,
    cache_folder,
    compilations,
    find_compiler,
)

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="a C compiler: apt-get install gcc"
)
CHILD = """
import ctypes, os, sys, time, warnings
from pathlib import Path
from phloem.kernels.time_loop.cpu import c_compiler
warnings.simplefilter("always")
go = Path(sys.argv[2])
go.with_name(f"ready-{os.getpid()}").touch()
while not go.exists():
    time.sleep(0.01)
path = c_compiler.build(sys.argv[1], "child")
assert c_compiler.build(sys.argv[1], "child") == path
print(path, ctypes.CDLL(str(path)).answer(), len(c_compiler.compilations), flush=True)
"""


def text_of(answer: int) -> str:
    return f"int answer(void) {{ return {answer}; }}\n"


def answer_of(library: Path) -> int:
    return int(ctypes.CDLL(str(library)).answer())


def libraries(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(".so"))


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)
    return path


def start_child(text: str, go: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, text, str(go)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=pipe, stderr=pipe, text=True)


def end_child(child: subprocess.Popen[str]) -> tuple[Path, int, int, str]:
    """Path, answer, runs of the compiler and the standard error of a child."""
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    path, answer, runs = out.split()
    return Path(path), int(answer), int(runs), err


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache and temporary folders of this test alone; nothing was looked for and nothing warned of before."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(c_compiler, "_warned", [])
    monkeypatch.setattr(c_compiler, "_private", [])
    find_compiler.cache_clear()
    compilations.clear()
    yield tmp_path / "cache" / "kernels"
    find_compiler.cache_clear()


@pytest.fixture
def real(cache: Path) -> str:
    found = find_compiler()
    assert found is not None
    find_compiler.cache_clear()
    return found.path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHLOEM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("CC", raising=False)
        find_compiler.cache_clear()
        return build(text_of(1), "sample")


# What is built, and when.


def test_built_once_and_then_taken_from_the_cache(cache: Path) -> None:
    library = build(text_of(42), "one")
    assert answer_of(library) == 42
    assert [build(text_of(42), "one") for _ in range(3)] == [library] * 3
    assert len(compilations) == 1
    assert re.fullmatch(rf"one-{compilations[0]}-[0-9a-f]{{24}}\.so", library.name)
    assert sorted(os.listdir(cache)) == sorted([library.name, f"one-{compilations[0]}.c"])
    assert (cache / f"one-{compilations[0]}.c").read_text() == text_of(42)


def test_another_process_takes_it_from_the_cache(cache: Path, tmp_path: Path) -> None:
    library = build(text_of(43), "child")
    path, answer, runs, err = end_child(start_child(text_of(43), tmp_path))
    assert (path, answer, runs, err) == (library, 43, 0, "")


def test_one_other_character_makes_another_library(cache: Path) -> None:
    assert [answer_of(build(text_of(answer), "one")) for answer in (51, 52)] == [51, 52]
    assert len(set(compilations)) == 2


def test_same_text_makes_the_same_bytes_in_another_place(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(text_of(53), "one")
    monkeypatch.setenv("PHLOEM_CACHE", str(cache / "elsewhere"))
    second = build(text_of(53), "one")
    assert first != second
    assert first.name == second.name


def test_content_of_headers_counts(cache: Path, tmp_path: Path) -> None:
    header = tmp_path / "include" / "number.h"
    header.parent.mkdir()
    text = '#include "number.h"\nint answer(void) { return NUMBER; }\n'
    for number in (61, 62, 62):
        header.write_text(f"#define NUMBER {number}\n")
        library = build(text, "headed", headers=[header], includes=[os.path.relpath(header.parent)])
        assert answer_of(library) == number
    assert len(compilations) == 2
    with pytest.raises(FileNotFoundError):
        build(text, "headed", headers=[tmp_path / "none.h"])


def test_another_processor_has_another_library(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = build(text_of(54), "one")
    monkeypatch.setattr(c_compiler, "processor", lambda: "another")
    there = build(text_of(54), "one")
    assert here != there
    assert len(set(compilations)) == 2


def test_another_compiler_has_another_library(cache: Path) -> None:
    found = find_compiler()
    assert found is not None
    others = [
        Compiler(found.path, found.version + " ", found.flags),
        Compiler(found.path, found.version, (*found.flags, "-O1")),
    ]
    assert len({build(text_of(55), "one", compiler=each) for each in (found, *others)}) == 3


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a*", "a b", "-a", "é"])
def test_names_that_are_no_file_names_are_refused(cache: Path, name: str) -> None:
    with pytest.raises(ValueError, match="library"):
        build(text_of(1), name)


# Bytes that are not what the compiler made.


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_flipped_bit_truncation_or_addition_is_noticed(library: Path, data: st.DataObject) -> None:
    good = library.read_bytes()
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    flipped = bytearray(good)
    flipped[bit // 8] ^= 1 << bit % 8
    short = good[: data.draw(st.integers(0, len(good) - 1))]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, library.name)
        for image, agrees in ((good, True), (flipped, False), (short, False), (good + b"\0", False)):
            copy.write_bytes(image)
            assert c_compiler._agrees(copy) is agrees


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "folder"])
def test_damaged_library_is_built_again(cache: Path, damage: str) -> None:
    text = text_of(70 + len(damage))
    library = build(text, "torn")
    good = library.read_bytes()
    if damage == "folder":
        library.unlink()
        library.mkdir()
        with pytest.warns(CacheWarning):
            assert answer_of(build(text, "torn")) == 70 + len(damage)
        return
    if damage == "altered":
        library.write_bytes(good[:5000] + bytes([good[5000] ^ 1]) + good[5001:])
    else:
        os.truncate(library, 0 if damage == "empty" else len(good) // 2)
    assert build(text, "torn") == library
    assert library.read_bytes() == good
    assert answer_of(library) == 70 + len(damage)
    assert (len(compilations), libraries(cache)) == (2, [library.name])


def test_damaged_library_of_another_digest_is_removed(cache: Path) -> None:
    library = build(text_of(80), "torn")
    stray = library.with_name(f"torn-{compilations[0]}-{'0' * 24}.so")
    library.rename(stray)
    assert build(text_of(80), "torn") == library
    assert libraries(cache) == [library.name]


# Many processes.


def test_four_processes_at_once(cache: Path, tmp_path: Path) -> None:
    children = [start_child(text_of(90), tmp_path / "go") for _ in range(4)]
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("ready-*"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    (tmp_path / "go").touch()
    results = [end_child(child) for child in children]
    assert {(path, answer, err) for path, answer, _, err in results} == {(cache / libraries(cache)[0], 90, "")}
    assert len(libraries(cache)) == 1
    assert list(cache.glob(".build-*")) == []


@pytest.mark.parametrize("links", [True, False])
def test_library_that_another_process_finished_first(cache: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    real, others = c_compiler._compile, []

    def overtaken(*arguments: object) -> str:
        if not others:
            others.append(None)
            others[0] = build(text_of(91), "one").stat()
        return real(*arguments)  # type: ignore[arg-type]

    def link(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    find_compiler()
    monkeypatch.setattr(c_compiler, "_compile", overtaken)
    if not links:
        monkeypatch.setattr(os, "link", link)
    library = build(text_of(91), "one")
    assert library.stat().st_ino == others[0].st_ino, "a library that others may run was renamed over"
    assert answer_of(library) == 91
    assert (len(compilations), len(libraries(cache))) == (2, 1)


def test_killed_while_compiling(cache: Path, tmp_path: Path, real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold, pid = tmp_path / "hold", tmp_path / "pid"
    wrapper = script(
        tmp_path / "slow-cc",
        f'[ -e {hold} ] && [ -e kernel.c ] && ! grep -q phloem_probe kernel.c || exec {real} "$@"',
        f'{real} "$@" && cp kernel.so whole && head -c 3000 whole > kernel.so',
        f"echo $$ > {pid}.part && mv {pid}.part {pid} && exec sleep 60",
    )
    monkeypatch.setenv("CC", str(wrapper))
    hold.touch()
    child = start_child(text_of(92), tmp_path)
    try:
        deadline = time.monotonic() + 60
        while not pid.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        child.kill()
        child.communicate()
        assert child.returncode == -signal.SIGKILL
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
        hold.unlink()
    (left,) = cache.iterdir()
    assert left.name.startswith(".build-")
    assert (left / "kernel.so").stat().st_size == 3000
    assert answer_of(build(text_of(92), "child")) == 92
    assert (len(compilations), len(libraries(cache)), left.is_dir()) == (1, 1, True)
    os.utime(left, (time.time() - 90_000,) * 2)
    build(text_of(93), "child")
    assert not left.exists()


# Caches that cannot be used.


@pytest.mark.parametrize("place", ["parent is a file", "file", "/proc/phloem", "unknown user"])
def test_cache_that_cannot_be_written(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "file").touch()
    known = {"parent is a file": str(tmp_path / "file" / "x"), "unknown user": "~no-such-user/x"}
    monkeypatch.setenv("PHLOEM_CACHE", known.get(place, place))
    if place == "file":
        monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path))
        (tmp_path / "kernels").touch()
    with pytest.warns(CacheWarning, match="PHLOEM_CACHE") as caught:
        # Without the check of its annotations, which stands between it and its caller.
        found = [inspect.unwrap(build)(text_of(answer), "one") for answer in (101, 102, 101)]
    assert [warning.category for warning in caught] == [CacheWarning]
    assert caught[0].filename == __file__
    assert [answer_of(path) for path in found] == [101, 102, 101]
    assert (found[0] == found[2], len(compilations)) == (True, 2)
    assert found[0].parent.stat().st_mode & 0o777 == 0o700


def test_private_libraries_are_removed_at_exit(cache: Path, tmp_path: Path) -> None:
    path, answer, runs, err = end_child(start_child(text_of(103), tmp_path, {"PHLOEM_CACHE": "/proc/phloem"}))
    assert (answer, runs, err.count("CacheWarning")) == (103, 1, 1)
    assert path.parent.parent == Path(tempfile.gettempdir())
    assert not path.parent.exists()


@pytest.mark.parametrize("free", [0, 1])
def test_full_disk(cache: Path, tmp_path: Path, free: int) -> None:
    cache.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(cache)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("a really full disk needs the mount command")
    if done.returncode != 0:
        pytest.skip(f"a really full disk needs the right to mount a tmpfs: {done.stderr.strip()}")
    try:
        (cache / "ballast").write_bytes(bytes(4096 * (16 - free)))
        with pytest.warns(CacheWarning, match="[Nn]o space") as caught:
            libraries = [build(text_of(answer), "one") for answer in (105 + free, 110 + free)]
        assert (len(caught), [answer_of(path) for path in libraries]) == (1, [105 + free, 110 + free])
        assert list(cache.glob(".build-*")) == []
        (cache / "ballast").unlink()
        assert build(text_of(105 + free), "one").parent == cache
    finally:
        subprocess.run(["umount", str(cache)], check=True)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"PHLOEM_CACHE": "/a/b", "XDG_CACHE_HOME": "/c"}, "/a/b/kernels"),
        ({"PHLOEM_CACHE": "~/b"}, "/home/someone/b/kernels"),
        ({"PHLOEM_CACHE": "", "XDG_CACHE_HOME": "/c"}, "/c/phloem/kernels"),
        ({"PHLOEM_CACHE": "", "XDG_CACHE_HOME": ""}, "/home/someone/.cache/phloem/kernels"),
    ],
)
def test_cache_folder(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str) -> None:
    for key, value in {"HOME": "/home/someone", **variables}.items():
        monkeypatch.setenv(key, value)
    assert cache_folder() == Path(folder)


# Compilers.


def test_found_with_every_flag_in_two_calls(cache: Path, real: str, tmp_path: Path, monkeypatch) -> None:
    wrapper = script(tmp_path / "cc", f'echo "$@" >> {tmp_path}/calls', f'exec {real} "$@"')
    monkeypatch.setenv("CC", f"{wrapper} -DANSWER=7")
    found = find_compiler()
    assert found is not None
    assert found.path == str(wrapper)
    assert found.flags[:4] == ("-DANSWER=7", *c_compiler.REQUIRED)
    assert {"-O3", "-ffp-contract=off", "-fno-math-errno"} <= set(found.flags)
    assert re.search(r"\d\.\d", found.version)
    assert len((tmp_path / "calls").read_text().splitlines()) == 2
    assert find_compiler() is found
    assert answer_of(build("int answer(void) { return ANSWER; }\n", "one")) == 7


def test_refused_flags_are_left_out(cache: Path, real: str, tmp_path: Path, monkeypatch) -> None:
    refused = "*-march=native*|*-fopenmp-simd*|*-fno-signed-zeros*"
    wrapper = script(
        tmp_path / "cc",
        f'case "$*" in {refused}) echo no such flag; exit 1;; esac',
        f'exec {real} $(echo "$@" | sed s/-mcpu=native//)',
    )
    monkeypatch.setenv("CC", str(wrapper))
    found = find_compiler()
    assert found is not None
    assert found.flags[:5] == (*c_compiler.REQUIRED, "-O3", "-mcpu=native")
    assert not {"-march=native", "-fopenmp-simd", "-fno-signed-zeros"} & set(found.flags)
    assert "-fno-trapping-math" in found.flags
    assert answer_of(build(text_of(111), "one")) == 111


@pytest.mark.parametrize("wide", [True, False])
def test_vector_width_follows_the_processor(cache: Path, real: str, tmp_path: Path, monkeypatch, wide: bool) -> None:
    wrapper = script(tmp_path / "cc", f'exec {real} $(echo "$@" | sed s/-mprefer-vector-width=512//)')
    monkeypatch.setenv("CC", str(wrapper))
    monkeypatch.setattr(c_compiler, "processor", lambda: "x86_64\navx2 avx512f fma" if wide else "x86_64\navx2 fma")
    found = find_compiler()
    assert found is not None
    assert ("-mprefer-vector-width=512" in found.flags) is wide


@pytest.mark.parametrize("path", ["", "{empty}"])
def test_no_compiler(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("PATH", path.format(empty=tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_compiler() is None
    with pytest.raises(CompileError, match="no C compiler works") as caught:
        build(text_of(1), "one")
    assert isinstance(caught.value, WorkError)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("{script}", "the licence has expired"),
        ("{script} --option", "the licence has expired"),
        ("/no/such/compiler", "/no/such/compiler"),
        ("no-such-compiler", "no-such-compiler"),
        ("true", "exit status 0"),
        ("'unbalanced", "quotation"),
    ],
)
def test_broken_cc_is_named_and_the_others_are_tried(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, said: str
) -> None:
    broken = script(tmp_path / "broken-cc", "echo the licence has expired >&2", "exit 3")
    command = command.format(script=broken)
    monkeypatch.setenv("CC", command)
    with pytest.warns(UserWarning, match=f"CC={re.escape(command)} does not work(.|\n)*{said}") as caught:
        found = find_compiler()
    assert found is not None
    assert Path(found.path).name in ("cc", "gcc", "clang")
    assert answer_of(build(text_of(112), "one")) == 112
    assert len(caught) == 1


def test_cc_that_only_pretends_is_passed_over(cache: Path, real: str, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script(folder / "cc", "exit 0")
    script(folder / "gcc", f'exec {real} "$@"')
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    found = find_compiler()
    assert found is not None
    assert found.path == str(folder / "gcc")


def test_compile_error_names_compiler_message_and_text(cache: Path) -> None:
    text = "int answer(void) { return not_declared; }\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CompileError, match="not_declared") as caught:
            build(text, "wrong")
    found = find_compiler()
    assert found is not None
    assert found.path in str(caught.value)
    (kept,) = cache.iterdir()
    assert f"{kept} does not compile" in str(caught.value)
    assert kept.read_text() == text


def test_compile_error_without_a_cache_keeps_the_text(cache: Path, tmp_path: Path) -> None:
    child = start_child("wrong", tmp_path, {"PHLOEM_CACHE": "/proc/phloem"})
    _, err = child.communicate(timeout=60)
    kept = re.search(r"(/\S+\.c) does not compile", err)
    assert kept is not None
    assert Path(kept[1]).read_text() == "wrong"


def test_only_the_last_lines_are_told(cache: Path, tmp_path: Path) -> None:
    chatty = script(tmp_path / "cc", "seq -f 'line %g.' 1 1000", "kill -9 $$")
    with pytest.raises(CompileError) as caught:
        build(text_of(1), "one", compiler=Compiler(str(chatty), "", ()))
    lines = re.findall(r"^line (\d+)\.$", str(caught.value), re.M)
    assert lines == [str(number) for number in range(981, 1001)]
    assert "exit status -9" in str(caught.value)


def test_compiler_that_has_gone(cache: Path) -> None:
    with pytest.raises(CompileError, match="/no/such/cc"):
        build(text_of(1), "one", compiler=Compiler("/no/such/cc", "1", ()))
    assert list(cache.glob(".build-*")) == []


def test_nowhere_to_compile(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_compiler()

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(CompileError, match="No space left"):
        build(text_of(113), "one")


# Processors.


def test_processor_is_told_by_its_features(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(text: str | None) -> str:
        def read(*_: object, **__: object) -> str:
            if text is None:
                raise FileNotFoundError(errno.ENOENT, "no /proc here")
            return text

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", read)
            return c_compiler.processor.__wrapped__()

    intel = "processor\t: 0\nmodel name\t: A\ncpu MHz\t\t: {}\nflags\t\t: fpu {} sse\n\n"
    arm = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd {}\nCPU implementer\t: 0x41\nCPU part\t: {}\n\n"
    assert of(intel.format(1000, "avx2")) == of(intel.format(2000, "avx2") * 4)
    assert "avx512f" in of(intel.format(1, "avx512f")).split()
    texts = [intel.format(1, "avx2"), intel.format(1, "avx512f"), arm.format("sve", 1), arm.format("", 1)]
    assert len({of(text) for text in (*texts, arm.format("sve", 2), "", None)}) == 6
    with contextlib.suppress(FileNotFoundError):
        assert c_compiler.processor() in (of(Path("/proc/cpuinfo").read_text()),)
