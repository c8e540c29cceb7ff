"""federation.yaml from a file, and the key files that it names."""

from pathlib import Path
from typing import Any

import yaml

from stepgrid_core.errors import InvalidRequest
from stepgrid_core.federation.document import FederationDocument, read_document


class _Loader(yaml.SafeLoader):
    """Refuses what YAML itself takes silently: a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for number, key in enumerate(keys) if key in keys[:number]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                problem=f"{twice!r} is there twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


def load_document(path: Path) -> FederationDocument:
    """Files of keys are looked for beside it. Raises InvalidRequest and OSError."""
    try:
        values = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"{path}: no YAML: {_fault(error)}") from error

    def read_file(name: str) -> str:
        return (path.parent / name).read_text(encoding="utf-8", errors="replace")

    return read_document(values, read_file, str(path))


def _fault(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or type(error).__name__
    return problem if mark is None else f"line {mark.line + 1}: {problem}"
