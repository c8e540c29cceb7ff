"""Lists that are told in parts."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list, and where to go on (None at its end)."""

    items: tuple[T, ...]
    next: str | None
