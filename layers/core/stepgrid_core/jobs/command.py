"""What a job's process is given: words and environment. Pure rules."""

import shlex
from collections.abc import Mapping

from ..contract import JobSpec
from .task import JobTask
from .workspace import TEMPORARY_FOLDER

DEFAULT_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build_argv(spec: JobSpec) -> list[str]:
    """The words of the command. The job's script is found by its name alone."""
    if spec.shell:
        own = _is_own_script(_first_word(spec.executable), spec)
        line = f"./{spec.executable.lstrip()}" if own else spec.executable
        # A line break would end the command before its arguments.
        return ["/bin/sh", "-c", f"{line.rstrip()} {shlex.join(spec.args)}".rstrip()]
    words = shlex.split(spec.executable)
    own = _is_own_script(words[0], spec)
    return [f"./{words[0]}" if own else words[0], *words[1:], *spec.args]


def _first_word(line: str) -> str:
    """Of a shell's line, whose later words may be none that shlex can read."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return lexer.get_token() or ""
    except ValueError:
        return ""


def _is_own_script(word: str, spec: JobSpec) -> bool:
    return "/" not in word and word == spec.script_name


def build_environment(
    spec: JobSpec, task: JobTask, folder: str, container: Mapping[str, str]
) -> Mapping[str, str]:
    """All variables of the process.

    container: what programs need to know of the container; never all that the runner knows.
    """
    known = {name: value for name, value in container.items() if not name.startswith("AWS_")}
    base = known | {
        "PATH": container.get("PATH", DEFAULT_SEARCH_PATH),
        "LANG": "C.UTF-8",
        "HOME": folder,
        "TMPDIR": f"{folder}/{TEMPORARY_FOLDER}",
        "USER": "job",
    }
    told = {
        "STEPGRID_JOB_ID": task.job_id,
        "STEPGRID_JOB_INDEX": str(task.index),
        "STEPGRID_JOB_COUNT": str(task.count),
        "STEPGRID_JOB_ATTEMPT": str(task.attempt),
        "TURING_JOB_ID": task.job_id,  # Cloud Kotta's
    }
    return base | dict(spec.environment) | told
