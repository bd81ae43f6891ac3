from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phloem.io.files.journals import append_event, read_events

LEAVES = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
EVENTS = st.dictionaries(st.text().filter(lambda key: key != "crc32"), LEAVES | st.lists(LEAVES), min_size=1)
SAME_FOLDER = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


def journal_of(path: Path, events: list[dict]) -> bytes:
    path.unlink(missing_ok=True)
    for event in events:
        append_event(path, event)
    return path.read_bytes()


@settings(SAME_FOLDER, max_examples=40)
@given(st.lists(EVENTS, max_size=4))
def test_events_come_back(tmp_path: Path, events: list[dict]) -> None:
    path = tmp_path / "w.jsonl"
    path.write_bytes(b"")
    journal_of(path, events) if events else None
    found = read_events(path)
    assert (found, found.skipped) == (events, 0)


SAMPLE = [{"event": "committed", "tile": n, "text": 'ä{}\n"' * n} for n in range(6)]


@SAME_FOLDER
@given(st.data())
def test_a_flipped_bit_costs_one_event(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "w.jsonl"
    content = bytearray(path.read_bytes() if path.exists() else journal_of(path, SAMPLE))
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    found = read_events(damaged)
    lost = [event for event in SAMPLE if event not in found]
    assert [event for event in SAMPLE if event in found] == found
    assert len(lost) <= 1
    assert found.skipped >= len(lost)


@SAME_FOLDER
@given(st.data())
def test_a_torn_line_costs_itself_and_not_the_next(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "w.jsonl"
    content = path.read_bytes() if path.exists() else journal_of(path, SAMPLE)
    torn = tmp_path / "torn"
    length = data.draw(st.integers(0, len(content)))
    torn.write_bytes(content[:length])
    whole = content[:length].count(b'"}\n')
    append_event(torn, {"event": "after"})
    found = read_events(torn)
    assert found[-1] == {"event": "after"}
    assert found[:-1] == SAMPLE[: len(found) - 1]
    assert len(found) - 1 in (whole, whole + 1), "a line without its line feed may still be whole"
    assert found.skipped <= 1


def test_a_folder_of_journals_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for worker, number in (("b", 1), ("a", 2), ("b", 3)):
        append_event(tmp_path / f"{worker}.jsonl", {"n": number})
    assert [event["n"] for event in read_events(tmp_path)] == [2, 1, 3]
    assert read_events(tmp_path / "absent.jsonl") == []


@pytest.mark.parametrize("event", [{}, {"crc32": 1}])
def test_what_cannot_be_sealed_is_refused(tmp_path: Path, event: dict) -> None:
    with pytest.raises(ValueError, match="not an event"):
        append_event(tmp_path / "w.jsonl", event)
