"""The same grid with a payload cache in front of the bucket: a deployment with one parameter more.

The local cloud is brought up again with a Valkey server, which takes some seconds where a second
one would take half a minute. It keeps it: the tests that come later run on it as well.
"""

import json

import pytest
import redis

from stepgrid import Grid
from stepgrid.htcgrid import AWSConnector
from stepgrid.local import LocalCloud


@pytest.fixture(scope="module")
def cache(cloud: LocalCloud) -> redis.Redis:
    """What is in the cache, looked at from outside."""
    url = cloud.up(print, redis=True, count_requests=True).redis_url
    assert url is not None
    return redis.Redis.from_url(url, protocol=2)


def hits(cache: redis.Redis) -> int:
    info = cache.info("stats")
    assert isinstance(info, dict)
    return int(info["keyspace_hits"])


def test_outputs_are_in_the_cache_and_in_the_bucket(
    grid: Grid, cloud: LocalCloud, cache: redis.Redis
) -> None:
    """A session of several chunks: its outputs are hot, expire there, and stay in the bucket."""
    before = hits(cache)
    session = grid.submit("mock-compute", [{"return_bytes": 50}] * 500, chunk_size=100)
    assert session.results() == ["x" * 50] * 500
    bucket = cloud.status().outputs["PayloadBucket"]
    names = [name.decode() for name in cache.keys(f"*results/{session.id}/*")]  # type: ignore[union-attr]
    listed = cloud.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"results/{session.id}/")
    stored = {entry["Key"] for entry in listed["Contents"]}
    assert {name.partition(":")[2] for name in names} == stored
    assert len(stored) == 5
    assert all(cache.ttl(name) > 0 for name in names)  # type: ignore[operator]
    assert hits(cache) >= before + 5  # the results came from the cache


def test_results_outlive_the_cache(grid: Grid, cache: redis.Redis) -> None:
    """With everything in it forgotten, the bucket answers."""
    session = grid.submit("mock-compute", [{"return_bytes": 50}] * 300, chunk_size=100)
    session.wait()
    cache.flushall()
    assert grid.session(session.id).results() == ["x" * 50] * 300


def test_a_deleted_session_leaves_nothing(grid: Grid, cache: redis.Redis) -> None:
    """Neither in the bucket nor in the cache."""
    session = grid.submit("mock-compute", [{"return_bytes": 50}] * 300, chunk_size=100)
    session.results()
    assert cache.keys(f"*{session.id}*")
    session.delete()
    assert cache.keys(f"*{session.id}*") == []


def test_htc_grids_clients_are_served_by_it(cloud: LocalCloud, cache: redis.Redis) -> None:
    """grid_storage_service REDIS, and outputs that do not fit beside the rows, in any chunks."""
    config = json.loads(cloud.paths.agent_config.read_text(encoding="utf-8"))
    before = hits(cache)
    with AWSConnector(client_config_data=config | {"grid_storage_service": "REDIS"}) as connector:
        connector.authenticate()
        sizes = [2_500 + number for number in range(20)]
        sent = connector.send([{"return_bytes": size} for size in sizes])
        outputs = connector.get_results(sent, timeout_sec=60)["finished_OUTPUT"]
    assert [len(json.loads(output)) for output in outputs] == sizes
    kept = cache.keys(f"*results/{sent['session_id']}/*")
    assert isinstance(kept, list)
    assert kept
    assert hits(cache) >= before + len(kept)
