"""The deployed grid for the system tests: the real template on a local cloud of their own.

The sources are copied, so that a local cloud of the developer is neither used nor stopped. Each
process of pytest-xdist has a cloud of its own.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from stepgrid import Config, Grid
from stepgrid.local import LocalCloud

from .hospitals import Hospitals

PROJECT = Path(__file__).parents[2]
IN_HOSPITALS = {
    "test_federated_average",
    "test_federation_quick_start",
    "test_federation_removal",
    "test_federation_sdk",
    "test_vantage6_client",
    "test_vantage6_seed",
    "test_vantage6_sockets",
}
SOURCES = (
    "template.yaml",
    "observability.yaml",
    "samconfig.toml",
    "functions",
    "layers",
    "statemachines",
)


class ByHospitals(LoadFileScheduling):
    """A module is done by one process, and so are all that need the hospitals: to build those takes
    long."""

    def _split_scope(self, nodeid: str) -> str:
        module: str = super()._split_scope(nodeid)
        return "hospitals" if Path(module).stem in IN_HOSPITALS else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByHospitals | None:
    """A mark would do (--dist loadgroup), but pytest-xdist 3.8.0 sees none with pytest 9.2."""
    return ByHospitals(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    project = tmp_path_factory.mktemp("system") / "project"
    project.mkdir()
    for name in SOURCES:
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, project / name)
    cloud = LocalCloud(project)
    cloud.up(print, count_requests=True)
    yield cloud
    assert cloud.down()


@pytest.fixture(scope="session")
def make_grid(cloud: LocalCloud) -> Iterator[Callable[[str], Grid]]:
    """A grid as an IAM user of that name sees it; each user is an owner of its own."""
    grids: dict[str, Grid] = {}
    endpoint = cloud.status().endpoint
    assert endpoint is not None

    def make(user: str) -> Grid:
        if user not in grids:
            keys = cloud.create_user(user)
            config = Config(
                endpoint=endpoint,
                region="us-east-1",
                access_key_id=keys.access_key_id,
                secret_access_key=keys.secret_access_key,
            )
            grids[user] = Grid(config=config)
        return grids[user]

    yield make
    for grid in grids.values():
        grid.close()


@pytest.fixture
def grid(make_grid: Callable[[str], Grid]) -> Grid:
    return make_grid("quant")


@pytest.fixture(scope="session")
def built_hospitals(
    cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospitals]:
    """A federation whose ids are the first: whoever makes another one lets it be made before."""
    hospitals = Hospitals(cloud, tmp_path_factory.mktemp("hospitals"))
    try:
        hospitals.build()
        yield hospitals
    finally:
        hospitals.stop()


@pytest.fixture(scope="session")
def hospitals(built_hospitals: Hospitals) -> Hospitals:
    """With the nodes of two of its collaborations, one encrypted and one not."""
    built_hospitals.start_nodes()
    return built_hospitals
