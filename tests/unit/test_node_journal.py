"""The journal: what is known after a crash at any instant."""

import os
from pathlib import Path

import pytest

from stepgrid import ConfigurationError
from stepgrid.node.journal import Ending, Entry, Journal, lock

ENDING = Ending(
    "completed", "log", "2026-11-30T12:00:00+00:00", "2026-11-30T12:01:00+00:00", "cg=="
)


def test_an_ending_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.take(1000, "a")
    assert list(Journal(tmp_path / "journal").entries()) == [Entry(1000, "a")]
    entry = journal.end(1000, "a", ENDING)
    assert list(Journal(tmp_path / "journal").entries()) == [entry]
    assert entry.ending == ENDING
    journal.forget(1000)
    journal.forget(1000)
    assert list(Journal(tmp_path / "journal").entries()) == []


def test_a_refused_ending_is_known_but_not_to_be_sent(tmp_path: Path) -> None:
    """So that the run is not run again; in the end it is dropped."""
    journal = Journal(tmp_path)
    journal.refuse(journal.end(1000, "a", ENDING))
    found = journal.find(1000)
    assert found == Entry(1000, "a", ENDING, refused=True)
    journal.drop_refused(before=0)
    assert journal.find(1000) is not None
    journal.drop_refused(before=2e10)
    assert journal.find(1000) is None


def test_what_has_to_be_sent_is_never_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = journal.end(1000, "a", ENDING)
    journal.drop_refused(before=2e10)
    assert journal.find(1000) == entry


def test_entries_come_in_order_of_their_ids(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for id in (10_000, 9_000, 1_001):
        journal.take(id, "a")
    assert [entry.run_id for entry in journal.entries()] == [1_001, 9_000, 10_000]


@pytest.mark.parametrize("part", ["", '{"run_id": 1000, "cla'])
def test_a_crash_while_writing_leaves_what_was_before(tmp_path: Path, part: str) -> None:
    """The new text is beside the old one until it is whole."""
    journal = Journal(tmp_path)
    journal.take(1000, "a")
    (tmp_path / "1000.tmp").write_text(part)
    assert list(Journal(tmp_path).entries()) == [Entry(1000, "a")]
    assert sorted(os.listdir(tmp_path)) == ["1000.json"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"ending": {"status": "x"}}'])
def test_a_spoiled_file_is_set_aside(tmp_path: Path, text: str) -> None:
    """The server hands the run out again; the file is there for whoever looks."""
    (tmp_path / "1000.json").write_text(text)
    journal = Journal(tmp_path)
    assert list(journal.entries()) == []
    assert (tmp_path / "1000.broken").read_text() == text
    journal.take(1000, "b")
    assert journal.find(1000) == Entry(1000, "b")


def test_only_its_user_reads_it(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").end(1000, "a", ENDING)
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "journal" / "1000.json").stat().st_mode & 0o777 == 0o600


def test_one_node_for_each_folder(tmp_path: Path) -> None:
    """The next one may have it when this one has ended."""
    with lock(tmp_path), pytest.raises(ConfigurationError, match="another node"), lock(tmp_path):
        raise AssertionError
    with lock(tmp_path):
        assert (tmp_path / "lock").exists()
