"""A folder of results is the old one or the new one, whatever happens in between."""

import os

import pytest

from phloem.errors import InputError
from phloem.io.files.whole_folder import check_replaceable, whole_folder


def write(folder, text):
    with whole_folder(folder) as draft:
        (draft / "result.json").write_text(text)


def test_a_new_one_takes_the_place_of_the_old(tmp_path):
    folder = tmp_path / "deep" / "found"
    write(folder, "old")
    (folder / "stray").touch()
    write(folder, "new")
    assert [path.name for path in folder.iterdir()] == ["result.json"]
    assert (folder / "result.json").read_text() == "new"
    assert [path.name for path in folder.parent.iterdir()] == ["found"]


def test_a_failure_leaves_the_old_one(tmp_path):
    folder = tmp_path / "found"
    write(folder, "old")
    with pytest.raises(FileNotFoundError), whole_folder(folder) as draft:
        (draft / "not there" / "result.json").write_text("half")
    assert (folder / "result.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["found"]


def test_killed_between_the_two_renames(tmp_path):
    folder = tmp_path / "found"
    write(folder, "old")
    folder.rename(tmp_path / ".found.1234.old")
    with pytest.raises(FileNotFoundError), whole_folder(folder) as draft:
        (draft / "not there").rmdir()
    assert (folder / "result.json").read_text() == "old"


def test_what_killed_runs_left_long_ago_goes(tmp_path):
    folder = tmp_path / "found"
    for name in (".found.1.tmp", ".found.2.tmp"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".found.1.tmp", (0, 0))
    write(folder, "new")
    assert {path.name for path in tmp_path.iterdir()} == {"found", ".found.2.tmp"}


def test_what_may_not_be_replaced(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    write(tmp_path / "mine", "old")
    for name, words in (("file", "a file"), ("other", "holds no result.json")):
        with pytest.raises(InputError, match=words):
            check_replaceable(tmp_path / name, "result.json")
    check_replaceable(tmp_path / "mine", "result.json")
    check_replaceable(tmp_path / "not there", "result.json")
    monkeypatch.chdir(tmp_path / "mine")
    with pytest.raises(InputError, match="working directory"):
        check_replaceable(tmp_path / "mine", "result.json")
