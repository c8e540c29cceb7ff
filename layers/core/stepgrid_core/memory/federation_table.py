"""The entities of a federation in dictionaries, with their names and lists."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ..federation.entities import MarkChange, change_marks, read_values, write_values
from ..ports import Entity, Marks
from ..ports.federation import NO_MARKS


class MemoryFederationTable:
    """Values are kept as text, so that nobody shares them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._given: dict[str, int] = {}
        self._entities: dict[str, dict[int, tuple[int, str]]] = {}
        self._names: dict[str, int] = {}
        self._lists: dict[str, set[int]] = {}

    def next_id(self, kind: str) -> int:
        with self._lock:
            self._given[kind] = self._given.get(kind, 0) + 1
            return self._given[kind]

    def create(
        self, kind: str, id: int, values: Mapping[str, Any], marks: Marks = NO_MARKS
    ) -> Entity | None:
        change, text = change_marks(marks, NO_MARKS), write_values(kind, id, values)
        with self._lock:
            taken = any(name in self._names for name in change.taken)
            if taken or id in self._entities.get(kind, {}):
                return None
            return self._write(kind, id, 1, text, change)

    def _write(self, kind: str, id: int, version: int, text: str, change: MarkChange) -> Entity:
        self._entities.setdefault(kind, {})[id] = version, text
        self._mark(id, change)
        return Entity(kind, id, version, read_values(text))

    def _mark(self, id: int, change: MarkChange) -> None:
        for name in change.left:
            if self._names.get(name) == id:
                del self._names[name]
        self._names.update(dict.fromkeys(change.taken, id))
        for listed in change.parted:
            self.take_out(listed, [id])
        for listed in change.joined:
            self.put_in(listed, [id])

    def read(self, kind: str, id: int) -> Entity | None:
        with self._lock:
            stored = self._entities.get(kind, {}).get(id)
        return None if stored is None else Entity(kind, id, stored[0], read_values(stored[1]))

    def read_many(self, kind: str, ids: Sequence[int]) -> list[Entity]:
        with self._lock:
            found = (self.read(kind, id) for id in ids)
            return [entity for entity in found if entity is not None]

    def read_all(self, kind: str) -> list[Entity]:
        with self._lock:
            return self.read_many(kind, sorted(self._entities.get(kind, {})))

    def find(self, name: str) -> int | None:
        with self._lock:
            return self._names.get(name)

    def replace(
        self,
        old: Entity,
        values: Mapping[str, Any],
        added: Marks = NO_MARKS,
        removed: Marks = NO_MARKS,
    ) -> Entity | None:
        change, text = change_marks(added, removed), write_values(old.kind, old.id, values)
        with self._lock:
            taken = any(self._names.get(name, old.id) != old.id for name in change.taken)
            if taken or not self._is_as_read(old):
                return None
            return self._write(old.kind, old.id, old.version + 1, text, change)

    def _is_as_read(self, old: Entity) -> bool:
        version, _ = self._entities.get(old.kind, {}).get(old.id, (0, ""))
        return version == old.version

    def delete(self, old: Entity, marks: Marks = NO_MARKS) -> bool:
        change = change_marks(NO_MARKS, marks)
        with self._lock:
            if not self._is_as_read(old):
                return False
            del self._entities[old.kind][old.id]
            self._mark(old.id, change)
            return True

    def put_in(self, listed: str, ids: Sequence[int]) -> None:
        with self._lock:
            self._lists.setdefault(listed, set()).update(ids)

    def take_out(self, listed: str, ids: Sequence[int]) -> None:
        with self._lock:
            self._lists.setdefault(listed, set()).difference_update(ids)

    def list_ids(
        self, listed: str, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[int]:
        with self._lock:
            ids = sorted(self._lists.get(listed, ()), reverse=newest_first)
        behind = [id for id in ids if after <= 0 or (id < after if newest_first else id > after)]
        return behind[:limit]

    def count(self, listed: str) -> int:
        with self._lock:
            return len(self._lists.get(listed, ()))

    def everything(self) -> dict[str, Any]:
        """To see whether something has changed: entities, names, lists, and numbers given away."""
        with self._lock:
            lists = {name: sorted(ids) for name, ids in self._lists.items() if ids}
            entities = {kind: dict(stored) for kind, stored in self._entities.items()}
            return {
                "entities": entities,
                "names": dict(self._names),
                "lists": lists,
                "given": dict(self._given),
            }
