"""What is started for a run, by the kind of its algorithm. Pure, apart from looking at paths.

    python       wrap_algorithm() of vantage6-algorithm-tools, in an interpreter that has it
    executable   a program of this machine
    container    `docker run`, in a network that leads to the proxy alone

Processes run as the node's user: what they can read, they can read. Containers see their own
folder, the folder of their job and the databases that their task asks for.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from stepgrid.node.algorithms.environment import Places, Wanted, encode, make_environment
from stepgrid.node.algorithms.process import Command
from stepgrid.node.config import Algorithm, Docker

#: Marks containers, so that a later process of the node finds what an earlier one left.
LABEL = "stepgrid-node"
_WRAP = "from vantage6.algorithm.tools.wrap import wrap_algorithm; wrap_algorithm()"
#: All that a process gets of the node's own environment.
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
_DATA, _TEMPORARY = PurePosixPath("/mnt/data"), "/mnt/tmp"


@dataclass(frozen=True, slots=True)
class Site:
    """The folders of a run, and the proxy."""

    folder: Path  #: of the run: input, output, token
    job_folder: Path  #: shared by the runs of a job
    proxy_host: str
    proxy_port: int


@dataclass(frozen=True, slots=True)
class Start:
    """One start of an algorithm."""

    algorithm: Algorithm
    image: str
    run_id: int
    site: Site
    wanted: Sequence[Wanted]


def make_process(start: Start, own: Mapping[str, str]) -> Command:
    """Of a package or an executable; own: the node's environment."""
    algorithm, site = start.algorithm, start.site
    values = make_environment(_places(site, site.folder, str(site.job_folder)), start.wanted)
    environment = {name: own[name] for name in _KEPT if name in own}
    environment |= {"HOME": str(site.folder), "TMPDIR": str(site.folder)}
    environment |= _given(algorithm, values)
    if algorithm.executable is not None:
        return Command(algorithm.executable, environment, site.folder)
    assert algorithm.python is not None
    environment["PKG_NAME"] = algorithm.python
    if algorithm.search_path:
        environment["PYTHONPATH"] = os.pathsep.join(map(str, algorithm.search_path))
    argv = (str(algorithm.python_path or sys.executable), "-c", _WRAP)
    return Command(argv, environment, site.folder)


def _given(algorithm: Algorithm, values: Mapping[str, str]) -> dict[str, str]:
    """vantage6's own names come last: no setting of the file can break them."""
    joined = {**algorithm.environment, **values}
    return joined if algorithm.plain_environment else encode(joined)


def _places(site: Site, folder: Path | PurePosixPath, temporary: str) -> Places:
    return Places(
        input_file=str(folder / "input"),
        output_file=str(folder / "output"),
        token_file=str(folder / "token"),
        temporary_folder=temporary,
        host=f"http://{site.proxy_host}",
        port=site.proxy_port,
    )


@dataclass(frozen=True, slots=True)
class ContainerCommand:
    """How one container is started and killed."""

    run: Command
    kill: tuple[str, ...]
    env_file: Path
    env_text: str  #: what has to be in env_file, which keeps values out of the process list


def make_container(
    start: Start, docker: Docker, owner: str, own: Mapping[str, str]
) -> ContainerCommand:
    """owner: names the node on this machine, so that its containers are found again."""
    site, name = start.site, f"{LABEL}-{owner}-{start.run_id}"
    mounted = [_mount(each) for each in start.wanted]
    values = make_environment(_places(site, _DATA, _TEMPORARY), [each for each, _ in mounted])
    env_file = site.folder / "environment"
    argv = [
        docker.command, "run", "--rm", "--pull", "never",
        "--name", name, "--label", f"{LABEL}={owner}",
        "--network", docker.network, "--env-file", str(env_file),
        "--user", f"{os.getuid()}:{os.getgid()}", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--pids-limit", "4096",
        "--mount", f"type=bind,source={site.folder},target={_DATA}",
        "--mount", f"type=bind,source={site.job_folder},target={_TEMPORARY}",
    ]  # fmt: skip
    for _, mount in mounted:
        argv += ["--mount", mount] if mount else []
    lines = [f"{key}={value}\n" for key, value in _given(start.algorithm, values).items()]
    return ContainerCommand(
        run=Command([*argv, start.image], docker_environment(own), site.folder),
        kill=(docker.command, "rm", "--force", name),
        env_file=env_file,
        env_text="".join(lines),
    )


def docker_environment(own: Mapping[str, str]) -> dict[str, str]:
    """What the docker command needs to find its daemon and its logins."""
    return {
        name: value
        for name, value in own.items()
        if name in (*_KEPT, "HOME") or name.startswith("DOCKER_")
    }


def _mount(wanted: Wanted) -> tuple[Wanted, str | None]:
    """A file or a folder is mounted; whatever else an URI names is left as it is."""
    path = Path(wanted.uri)
    if not path.is_absolute() or not path.exists():
        return wanted, None
    suffix = path.suffix if path.is_file() else ""
    target = f"/mnt/{wanted.database.label}{suffix}"
    mode = ",readonly" if wanted.database.read_only else ""
    return replace(wanted, uri=target), f"type=bind,source={path},target={target}{mode}"
