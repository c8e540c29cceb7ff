"""The payload cache of the template: what each choice makes, and what it may do."""

from typing import Any

import pytest

from stepgrid_core.settings import Settings
from tests.unit.translated_template import (
    broken_rules,
    chosen,
    is_made,
    properties,
    read_template,
    resources_of_type,
    translate,
    worker_names,
)

TEMPLATE = read_template()
CACHE_TYPES = ("ServerlessCache", "User", "UserGroup")
FUNCTIONS = ("ApiFunction", *worker_names(TEMPLATE))
NETWORK = {"VpcSubnetIds": ["subnet-1"], "VpcSecurityGroupIds": ["sg-1"]}


@pytest.fixture(scope="module")
def translated() -> dict[str, Any]:
    return translate(TEMPLATE)


def variables(template: dict[str, Any], name: str, **parameters: Any) -> dict[str, Any]:
    found = properties(template, name)["Environment"]["Variables"]
    named = {key: value for key, value in found.items() if key.startswith("STEPGRID_REDIS")}
    answer: dict[str, Any] = chosen(template, named, **parameters)
    return answer


def test_it_is_off_by_default(translated: dict[str, Any]) -> None:
    """No resource, no address, no VPC: nothing is paid for while nothing runs."""
    for kind in CACHE_TYPES:
        for cache in resources_of_type(translated, f"AWS::ElastiCache::{kind}"):
            assert not is_made(translated, cache)
            assert is_made(translated, cache, PayloadCache="elasticache")
    for name in FUNCTIONS:
        assert set(variables(translated, name).values()) == {""}
        network = chosen(translated, properties(translated, name)["VpcConfig"])
        assert network == {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_address_reaches_the_functions(translated: dict[str, Any], name: str) -> None:
    """With "url" it is the given one, and the functions log in by what it says."""
    url = "rediss://:secret@cache.example:6379/0"
    given = variables(translated, name, PayloadCache="url", RedisUrl=url)
    assert given["STEPGRID_REDIS_URL"] == url
    assert given["STEPGRID_REDIS_USER"] == ""
    assert variables(translated, name, RedisUrl=url)["STEPGRID_REDIS_URL"] == ""


def test_an_address_is_shown_nowhere(translated: dict[str, Any]) -> None:
    """It may hold a password: neither CloudFormation nor a setting's text tells it."""
    assert translated["Parameters"]["RedisUrl"]["NoEcho"] is True
    assert "RedisUrl" not in str(translated["Outputs"])
    names = {"table": "t", "bucket": "b", "event_bus": "e", "worker_prefix": ""}
    settings = Settings.model_validate({**names, "redis_url": "redis://:secret@cache:6379"})
    assert "secret" not in f"{settings!r} {settings} {settings.model_dump()}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_stacks_own_cache_is_reached_by_tls_and_iam(
    translated: dict[str, Any], name: str
) -> None:
    """No password exists; the functions are in its network."""
    given = variables(translated, name, PayloadCache="elasticache", **NETWORK)
    assert given["STEPGRID_REDIS_URL"]["Fn::Sub"].startswith("rediss://${HotPayloads.Endpoint")
    assert given["STEPGRID_REDIS_USER"] == {"Ref": "HotPayloadsUser"}
    assert given["STEPGRID_REDIS_CACHE"] == {"Ref": "HotPayloads"}
    placed = chosen(translated, properties(translated, name)["VpcConfig"], **NETWORK)
    assert placed == {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}


def test_the_cache_is_valkey_and_bounded(translated: dict[str, Any]) -> None:
    """What it may store and do has a limit, and so has its price."""
    cache = properties(translated, "HotPayloads")
    assert cache["Engine"] == "valkey"
    assert cache["UserGroupId"] == {"Ref": "HotPayloadsUsers"}
    assert cache["CacheUsageLimits"]["DataStorage"]["Maximum"] == 10
    assert cache["CacheUsageLimits"]["ECPUPerSecond"]["Maximum"] == 100_000


def test_the_functions_user_may_do_what_they_do(translated: dict[str, Any]) -> None:
    """The commands of redis_cache, and those of a connection."""
    user = properties(translated, "HotPayloadsUser")
    assert user["AuthenticationMode"] == {"Type": "iam"}
    assert user["UserId"] == user["UserName"]
    assert user["AccessString"] == "on ~* -@all +@connection +get +set +unlink"


def test_user_code_has_no_right_on_the_network(translated: dict[str, Any]) -> None:
    """What Lambda needs to place a worker in a VPC is denied to what runs in the worker."""
    statements = properties(translated, "WorkerPolicy")["PolicyDocument"]["Statement"]
    (denied,) = (entry for entry in statements if entry["Action"] == "ec2:*")
    assert (denied["Effect"], denied["Resource"]) == ("Deny", "*")
    assert "lambda:SourceFunctionArn" in denied["Condition"]["ArnLike"]


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({}, set()),
        ({"PayloadCache": "elasticache"}, {"OwnCacheIsReachable"}),
        ({"PayloadCache": "url"}, {"UrlIsGiven"}),
        ({"PayloadCache": "url", "RedisUrl": "rediss://cache"}, set()),
        ({"VpcSubnetIds": ["subnet-1"]}, {"SubnetsHaveGroups"}),
        ({"PayloadCache": "elasticache", **NETWORK}, set()),
        ({"PayloadCache": "url", "RedisUrl": "rediss://cache", **NETWORK}, set()),
    ],
)
def test_choices_that_can_not_work_are_refused(given: dict[str, Any], broken: set[str]) -> None:
    """Before anything is made: CloudFormation checks the rules of the template first."""
    assert broken_rules(TEMPLATE, **given) == broken
