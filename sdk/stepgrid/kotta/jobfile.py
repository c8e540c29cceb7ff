"""Job descriptions: JSON, or the Python literals that the old client took for it."""

import ast
import json
from pathlib import Path
from typing import Any

from stepgrid_core.errors import ConfigurationError


def read_job(path: Path, script: Path | None = None) -> dict[str, str]:
    """The fields to send. script: a file whose text goes in. Raises ConfigurationError."""
    job = _parse(path, _read_text(path))
    if script is not None:
        job["script"] = _read_text(script)
    return {str(key): str(value) for key, value in job.items() if value is not None}


def _read_text(path: Path) -> str:
    """Line ends stay as they are: it is for the server to change them."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is no text in UTF-8") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        job = json.loads(text)
    except ValueError as error:
        job = _parse_literal(path, text, error)
    if not isinstance(job, dict):
        raise ConfigurationError(f"{path} is no job description: it has to be one object")
    return job


def _parse_literal(path: Path, text: str, error: ValueError) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise ConfigurationError(f"{path} is no job description: {error}") from None
