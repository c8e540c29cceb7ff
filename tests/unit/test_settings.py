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


def test_a_switch_of_the_template_is_on_or_off() -> None:
    """The template says it in the words of its parameters."""
    assert not Settings.read(STACK).count_requests
    assert not Settings.read(STACK | {"STEPGRID_COUNT_REQUESTS": "off"}).count_requests
    assert Settings.read(STACK | {"STEPGRID_COUNT_REQUESTS": "on"}).count_requests
