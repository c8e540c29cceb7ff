"""The deployed grid for the system tests: the real template on a local cloud of their own.

The sources are copied, so that a local cloud of the developer is neither used nor stopped. Each
process of pytest-xdist has a cloud of its own.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stepgrid import Config, Grid
from stepgrid.local import LocalCloud

from .hospitals import Hospitals

PROJECT = Path(__file__).parents[2]
SOURCES = (
    "template.yaml",
    "observability.yaml",
    "samconfig.toml",
    "functions",
    "layers",
    "statemachines",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests one process of pytest-xdist does (--dist loadgroup): those of a module, and
    those of all modules that need the hospitals, which take long to build. Before xdist looks."""
    groups: dict[Path, str] = {}
    own = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in own:
        needs_hospitals = "hospitals" in getattr(item, "fixturenames", ())
        groups[item.path] = (
            "hospitals" if needs_hospitals else groups.get(item.path, item.path.stem)
        )
    for item in own:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))


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
