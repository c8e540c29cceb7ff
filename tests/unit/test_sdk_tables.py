"""Results as tables, on the real planes in memory."""

import sys
from typing import Any

import pandas
import pyarrow as pa
import pytest

from stepgrid import ConfigurationError
from stepgrid.lines import Line
from stepgrid.tables import BATCH_TASKS, TASK_COLUMNS, build_table, to_frame
from tests.unit.sdk_fakes import World


def table_of(*results: Any) -> pa.Table:
    """The table of tasks that all have finished."""
    lines = [finished(index, result) for index, result in enumerate(results)]
    return build_table(lambda: iter([lines]))


def finished(index: int, result: Any) -> Line:
    return {"i": index, "state": "finished", "attempts": 1, "ms": 0.5, "result": result}


def results_in(table: pa.Table) -> dict[str, list[Any]]:
    """The columns of results."""
    names = [name for name in table.column_names if name not in TASK_COLUMNS]
    return {name: table[name].to_pylist() for name in names}


def test_objects_have_a_column_for_each_key() -> None:
    """Null where a result lacks the key; whole numbers stay whole, objects within are structs."""
    table = table_of({"x": 1, "in": {"a": 1}}, {"x": 2, "y": 0.5}, {"x": 3, "in": {"b": "c"}})
    assert results_in(table) == {
        "x": [1, 2, 3],
        "in": [{"a": 1, "b": None}, None, {"a": None, "b": "c"}],
        "y": [None, 0.5, None],
    }
    assert table.schema.field("x").type == pa.int64()


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param([1, 2.5], [1.0, 2.5], id="numbers"),
        pytest.param(["a", None], ["a", None], id="text"),
        pytest.param([[1], [2, 3]], [[1], [2, 3]], id="lists"),
        pytest.param([None, None], [None, None], id="nothing"),
    ],
)
def test_other_results_are_one_column(results: list[Any], expected: list[Any]) -> None:
    """Called `result`."""
    assert results_in(table_of(*results)) == {"result": expected}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param([1, "a"], ["1", '"a"'], id="numbers and text"),
        pytest.param([{"a": 1}, 2], ['{"a":1}', "2"], id="objects and numbers"),
        pytest.param([2**70, None], [str(2**70), None], id="huge"),
        pytest.param([2**53 + 1, 0.5], [str(2**53 + 1), "0.5"], id="would be rounded"),
        pytest.param(["\ud800"], ['"\\ud800"'], id="half of a pair"),
    ],
)
def test_what_has_no_common_type_is_json(results: list[Any], expected: list[str]) -> None:
    """No value is changed, and none is left out."""
    assert results_in(table_of(*results)) == {"result": expected}


def test_one_mixed_key_leaves_the_others_alone() -> None:
    """Only its own column is text."""
    table = table_of({"x": 1, "y": 1}, {"x": 2, "y": "a"}, {"x": 3})
    assert results_in(table) == {"x": [1, 2, 3], "y": ["1", '"a"', None]}


@pytest.mark.parametrize("odd", [7, {"x": "text"}, {"x": 2**64}, {"other": 1}, None])
def test_it_does_not_matter_where_a_batch_ends(odd: Any) -> None:
    """What comes late decides as much as what comes first."""
    results = [{"x": 1}] * BATCH_TASKS + [odd]
    lines = [finished(index, result) for index, result in enumerate(results)]
    for order in (lines, lines[::-1]):
        split = build_table(lambda order=order: iter([order[:BATCH_TASKS], order[BATCH_TASKS:]]))  # type: ignore[misc]
        few = [order[0], order[-1]]
        small = build_table(lambda few=few: iter([few]))  # type: ignore[misc]
        assert split.schema == small.schema
        names = sorted(results_in(split))
        for row, place in ((0, 0), (-1, 1)):
            assert [split[name][row] for name in names] == [small[name][place] for name in names]


def test_keys_with_the_names_of_other_columns() -> None:
    """They are told apart, whatever they are called."""
    table = table_of({"index": "a", "result.index": "b", "result": "c"})
    assert table["index"].to_pylist() == [0]
    assert results_in(table) == {
        "result.index": ["a"],
        "result.result.index": ["b"],
        "result": ["c"],
    }


def test_the_table_of_a_session() -> None:
    """A row for each task in order; a failed one has its error, and raises nothing."""
    session = World().grid.submit("square", [{"x": 1}, "fail", {"x": 3}], max_attempts=2)
    table = session.to_arrow()
    assert table["index"].to_pylist() == [0, 1, 2]
    assert table["state"].to_pylist() == ["finished", "failed", "finished"]
    assert table["attempts"].to_pylist() == [1, 2, 1]
    assert table["milliseconds"].null_count == 0
    assert table["x"].to_pylist() == [1, None, 3]
    assert table["error_type"].to_pylist() == [None, "ValueError", None]
    assert table["error_message"][1].as_py() == "no square of that"
    assert "raise ValueError" in table["error_traceback"][1].as_py()


def test_tasks_that_never_ran_have_rows() -> None:
    """Without attempts and times; and there is a place for results even if there are none."""
    world = World(autorun=False)
    session = world.grid.submit("square", range(3))
    session.cancel()
    table = session.to_arrow()
    assert table["state"].to_pylist() == ["cancelled"] * 3
    assert table["attempts"].to_pylist() == [None] * 3
    assert results_in(table) == {"result": [None] * 3}


def test_the_table_of_a_large_session() -> None:
    """Over many chunks and pages; asked again, nothing is downloaded twice."""
    world = World()
    session = world.grid.submit("square", range(30_000), chunk_size=100)
    table = session.to_arrow()
    assert table["result"].to_pylist() == [n * n for n in range(30_000)]
    downloads = len(world.objects.gets)
    assert session.to_arrow().equals(table)
    assert len(world.objects.gets) == downloads


def test_a_pandas_frame() -> None:
    """The same rows and columns."""
    session = World().grid.submit("square", [{"x": 1}, {"x": 2}])
    frame = session.to_pandas()
    assert list(frame.columns) == [*list(TASK_COLUMNS), "x"]
    assert frame["x"].sum() == 3


BIG = 2**53 + 1  #: no float is this number
TEXT = pandas.Series(["text"]).dtype  #: as this version of pandas has it


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param([BIG, 2], "int64", id="whole numbers"),
        pytest.param([BIG, None], "Int64", id="whole numbers, one missing"),
        pytest.param([True, False], "bool", id="truth values"),
        pytest.param([True, None], "boolean", id="truth values, one missing"),
        pytest.param([0.5, None], "float64", id="numbers"),
        pytest.param(["a", None], TEXT, id="text"),
        pytest.param([None, None], "object", id="nothing"),
        pytest.param([2**70, None], TEXT, id="JSON text"),
    ],
)
def test_a_pandas_frame_has_the_same_values(values: list[Any], kind: str) -> None:
    """What is missing changes nothing else; numpy's types are there where nothing is missing."""
    column = to_frame(table_of(*values))["result"]
    assert column.dtype == kind
    present = [value for value in values if value is not None]
    as_written = [str(value) for value in present] if 2**70 in values else present
    assert column.dropna().tolist() == as_written
    assert column.isna().tolist() == [value is None for value in values]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([{"a": BIG}, {"a": None}], id="object"),
        pytest.param([{"a": BIG}, None], id="missing object"),
        pytest.param([[BIG, None], [1]], id="list"),
        pytest.param([{"a": [{"b": [BIG]}, {"b": [None]}]}, None], id="deeper"),
    ],
)
def test_a_pandas_frame_has_the_same_values_within(values: list[Any]) -> None:
    """Lists and objects as well."""
    assert to_frame(table_of(*[{"x": value} for value in values]))["x"].tolist() == values


def test_the_frame_of_a_session_with_a_failure() -> None:
    """The numbers of the others are what they were."""
    frame = World().grid.submit("square", [{"x": BIG}, "fail"], max_attempts=1).to_pandas()
    assert frame["x"].tolist() == [BIG, pandas.NA]
    assert frame["attempts"].tolist() == [1, 1]


@pytest.mark.parametrize("missing", ["pyarrow", "pandas"])
def test_the_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the error says what to install, and nothing was asked."""
    world = World()
    session = world.grid.submit("square", [1])
    world.transport.sent.clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        ConfigurationError, match=rf"need {missing}: pip install .stepgrid\[arrow\]"
    ):
        session.to_pandas()
    assert world.transport.sent == []
