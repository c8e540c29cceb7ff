"""What a function reads from its environment."""

from stepgrid_core.settings import Settings

STACK = {
    "STEPGRID_TABLE": "table",
    "STEPGRID_BUCKET": "bucket",
    "STEPGRID_EVENT_BUS": "bus",
    "STEPGRID_WORKER_PREFIX": "stack-worker-",
}


def test_where_the_aws_services_are_is_known_on_a_local_cloud_only() -> None:
    """AWS_ENDPOINT_URL is AWS's own variable; clients are told of it, and of nothing on AWS."""
    assert Settings.read(STACK).aws_endpoint_url is None
    local = Settings.read(STACK | {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"})
    assert local.aws_endpoint_url == "http://127.0.0.1:4566"


def test_empty_variables_count_as_absent() -> None:
    """A template that has nothing to say about a setting leaves it empty."""
    assert Settings.read(STACK | {"STEPGRID_MAX_TASKS": ""}).max_tasks == 1_000_000
