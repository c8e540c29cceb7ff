"""Results as a table, for those who go on with pandas, polars or DuckDB; see Session.to_arrow.

    outputs --> lines --> batches of tasks --> columns, each of the type that all its values have

The memory it takes is that of the table and of a few outputs. Which columns there are, and which
have one type, is known when all was seen; if the first guess was wrong, the outputs are read again.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stepgrid_core.errors import ConfigurationError

from .lines import Line

if TYPE_CHECKING:
    import pandas
    import pyarrow

#: Tasks that are made into columns at once.
BATCH_TASKS = 10_000
#: What the grid says of each task, with the Arrow type of each.
TASK_COLUMNS = {
    "index": "int64",
    "state": "string",
    "attempts": "int64",
    "milliseconds": "float64",
    "error_type": "string",
    "error_message": "string",
    "error_traceback": "string",
}
#: Before a result's key that has the name of a column of the task, or that begins so itself.
KEY_PREFIX = "result."
#: What pyarrow raises for values that have no common type, and for numbers it has no type for.
_NO_TYPE = (TypeError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How results become columns."""

    #: each result is an object, or null: there is a column for each key
    objects: bool = True
    #: columns whose values have no common type: they are kept as JSON text
    as_text: frozenset[str] = field(default_factory=frozenset)


def build_table(read: Callable[[], Iterator[list[Line]]]) -> "pyarrow.Table":
    """The table of all tasks. read: their lines in order, from the beginning at each call."""
    arrow, plan = _import_extra("pyarrow"), _Plan()
    while True:
        builder = _Builder(arrow, plan)
        for lines in _batches(read()):
            builder.add(lines)
            if plan.objects and not builder.all_objects:
                break
        revised = builder.revise()
        if revised == plan:
            return builder.finish()
        plan = revised


def to_frame(table: "pyarrow.Table") -> "pandas.DataFrame":
    """The table for pandas, with every value as it is; see Session.to_pandas."""
    columns = zip(table.column_names, table.columns, strict=True)
    return _import_extra("pandas").DataFrame({name: _series(column) for name, column in columns})


def _series(column: Any) -> "pandas.Series":
    """By itself pandas makes whole numbers floats where one is missing, and rounds large ones."""
    pandas, arrow = _import_extra("pandas"), _import_extra("pyarrow")
    nullable = {arrow.int64(): pandas.Int64Dtype(), arrow.bool_(): pandas.BooleanDtype()}
    if not _lacks(column, nullable):
        return column.to_pandas()
    if arrow.types.is_nested(column.type):
        return pandas.Series(column.to_pylist(), dtype=object)
    return column.to_pandas(types_mapper=nullable.get)


def _lacks(column: Any, kinds: Container[Any]) -> bool:
    """Is a value of these types missing in it, or somewhere in its lists and objects?"""
    arrow = _import_extra("pyarrow")
    if arrow.types.is_struct(column.type):
        return any(_lacks(part, kinds) for part in column.flatten())
    if arrow.types.is_list(column.type):
        return _lacks(_import_extra("pyarrow.compute").list_flatten(column), kinds)
    return column.null_count > 0 and column.type in kinds


def check_arrow() -> None:
    """Raises ConfigurationError where pyarrow is missing."""
    _import_extra("pyarrow")


def check_pandas() -> None:
    """Raises ConfigurationError where pandas is missing."""
    _import_extra("pandas")


def _import_extra(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f'tables of results need {name}: pip install "stepgrid[arrow]"'
        ) from error


def _batches(blocks: Iterable[list[Line]]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for block in blocks:
        batch.extend(block)
        if len(batch) >= BATCH_TASKS:
            yield batch
            batch = []
    if batch:
        yield batch


class _Builder:
    """One pass over all lines."""

    def __init__(self, arrow: Any, plan: _Plan) -> None:
        self._arrow = arrow
        self._plan = plan
        self._rows = 0
        self._columns: dict[str, _Column] = {}
        self.all_objects = True

    def add(self, lines: Sequence[Line]) -> None:
        results = [line.get("result") for line in lines]
        self.all_objects = self.all_objects and all(
            result is None or isinstance(result, dict) for result in results
        )
        columns = _task_columns(lines)
        if self._plan.objects and self.all_objects:
            columns |= _key_columns(results)
        elif not self._plan.objects:
            columns["result"] = results
        for name, values in columns.items():
            self._column(name).add(values)
        self._rows += len(lines)
        for name in self._columns.keys() - columns.keys():
            self._columns[name].add([None] * len(lines))

    def revise(self) -> _Plan:
        """The plan under which all of it would have had a column that fits."""
        if self._plan.objects and not self.all_objects:
            return replace(self._plan, objects=False, as_text=frozenset())
        if not self._columns.keys() - set(TASK_COLUMNS):
            self._column("result").add([])  # nobody has a result: all the same there is a place
        mixed = {name for name, column in self._columns.items() if not column.fits()}
        return replace(self._plan, as_text=self._plan.as_text | mixed)

    def finish(self) -> Any:
        columns = {name: column.finish() for name, column in self._columns.items()}
        return self._arrow.table(columns)

    def _column(self, name: str) -> "_Column":
        if name not in self._columns:
            kind = TASK_COLUMNS.get(name)
            as_text = name in self._plan.as_text
            self._columns[name] = _Column(self._arrow, kind, as_text, self._rows)
        return self._columns[name]


def _task_columns(lines: Sequence[Line]) -> dict[str, list[Any]]:
    errors: list[Mapping[str, str]] = [line.get("error") or {} for line in lines]
    columns = {
        "index": [line["i"] for line in lines],
        "state": [str(line["state"]) for line in lines],
        "attempts": [line.get("attempts") for line in lines],
        "milliseconds": [line.get("ms") for line in lines],
    }
    for name in ("type", "message", "traceback"):
        columns[f"error_{name}"] = [error.get(name) for error in errors]
    return columns


def _key_columns(results: Sequence[dict[str, Any] | None]) -> dict[str, list[Any]]:
    """A column for each key, in the order in which they come; null where a result lacks it."""
    objects = [result or {} for result in results]
    keys = dict.fromkeys(key for result in objects for key in result)
    return {_column_of(key): [result.get(key) for result in objects] for key in keys}


def _column_of(key: str) -> str:
    taken = key in TASK_COLUMNS or key.startswith(KEY_PREFIX)
    return KEY_PREFIX + key if taken else key


class _Column:
    """The values of one column, batch by batch."""

    def __init__(self, arrow: Any, kind: str | None, as_text: bool, rows_before: int) -> None:
        """kind: its type, if that is known. rows_before: of which nothing was added."""
        self._arrow = arrow
        self._kind = kind
        self._as_text = as_text
        self._arrays: list[Any] = [arrow.nulls(rows_before)] if rows_before else []
        self._type = arrow.null()
        self._fits = True

    def add(self, values: Sequence[Any]) -> None:
        if not self._fits:
            return
        if self._as_text:
            values = [None if value is None else _as_json(value) for value in values]
        try:
            array = self._arrow.array(values, self._kind)
            self._type = self._common(array.type)
        except _NO_TYPE:
            self._fits = False
            self._arrays.clear()
        else:
            self._arrays.append(array)

    def fits(self) -> bool:
        """Have all values one type in which each is what it was?"""
        try:
            if self._fits:
                self._arrays = [array.cast(self._type) for array in self._arrays]
        except _NO_TYPE:
            self._fits = False
        return self._fits

    def finish(self) -> Any:
        return self._arrow.chunked_array(self._arrays, self._type)

    def _common(self, other: Any) -> Any:
        if other == self._type:
            return other
        schemas = [self._arrow.schema([("", kind)]) for kind in (self._type, other)]
        merged = self._arrow.unify_schemas(schemas, promote_options="permissive")
        return merged.field(0).type


def _as_json(value: Any) -> str:
    """ASCII: a result may hold half of a surrogate pair, which no column of text can."""
    return json.dumps(value, separators=(",", ":"))
