"""The sizes of containers: those that Fargate has, and which one a session gets."""

from typing import Any

import pytest
from pydantic import ValidationError

from stepgrid_core.container_sizes import (
    LEAST_STORAGE_GIB,
    MEMORY_MIB,
    check_memory,
    choose_size,
    default_size,
)
from stepgrid_core.contract import ContainerOptions
from stepgrid_core.contract.container import VCPUS
from stepgrid_core.errors import InvalidRequest
from stepgrid_core.records import ContainerSize

#: ECS developer guide, "Fargate task size", November 2026: CPU units, then memory in MiB.
TABLE = {
    256: [512, 1024, 2048],
    512: [1024, 2048, 3072, 4096],
    1024: [2048, 3072, 4096, 5120, 6144, 7168, 8192],
    2048: list(range(4096, 16384 + 1, 1024)),
    4096: list(range(8192, 30720 + 1, 1024)),
    8192: list(range(16384, 61440 + 1, 4096)),
    16384: list(range(32768, 122880 + 1, 8192)),
    32768: [61440, 122880, 249856],
}
WORKER = ContainerSize(2, 4096, 21, spot=True, architecture="arm64")


def wish(**options: Any) -> ContainerOptions:
    return ContainerOptions.model_validate(options)


def test_every_size_that_fargate_has_and_none_else() -> None:
    """The page's table, line by line."""
    assert {int(vcpu * 1024): list(sizes) for vcpu, sizes in MEMORY_MIB.items()} == TABLE
    assert {int(vcpu * 1024) for vcpu in VCPUS} == set(TABLE)


def test_the_wire_lets_every_size_through() -> None:
    """The largest and the smallest; what is no vCPU is refused with those that are."""
    for units, memory in TABLE.items():
        for size in memory:
            wish(vcpu=units / 1024, memory_mib=size)
    for wrong in ({"vcpu": 3}, {"memory_mib": 249_857}, {"storage_gib": 20}, {"storage_gib": 201}):
        with pytest.raises(ValidationError):
            wish(**wrong)


def test_the_default_is_one_vcpu_on_spot() -> None:
    """As a function has, with the least disk that can be asked for."""
    size = default_size("x86_64")
    assert size == ContainerSize(1, 2048, LEAST_STORAGE_GIB, spot=True, architecture="x86_64")
    check_memory(size.vcpu, size.memory_mib)
    assert size.pullers == 1


def test_nothing_wished_is_the_workers_own() -> None:
    """Neither options nor empty ones change anything."""
    assert choose_size(WORKER, None) == WORKER
    assert choose_size(WORKER, wish()) == WORKER
    assert choose_size(WORKER, wish(count=7)) == WORKER


@pytest.mark.parametrize(
    ("options", "vcpu", "memory"),
    [
        pytest.param({"vcpu": 4}, 4, 8192, id="more vCPUs: the least that they have"),
        pytest.param({"vcpu": 1}, 1, 4096, id="fewer: as much, if they can have it"),
        pytest.param({"vcpu": 0.25}, 0.25, 2048, id="else the most that they have"),
        pytest.param({"vcpu": 32}, 32, 61440, id="the largest"),
        pytest.param({"vcpu": 8, "memory_mib": 20480}, 8, 20480, id="both"),
        pytest.param({"memory_mib": 16384}, 2, 16384, id="memory alone"),
    ],
)
def test_memory_fits_the_vcpus(options: dict[str, Any], vcpu: float, memory: int) -> None:
    """Where only vCPUs are wished."""
    size = choose_size(WORKER, wish(**options))
    assert (size.vcpu, size.memory_mib) == (vcpu, memory)


def test_the_rest_is_as_wished() -> None:
    """Disk, and on demand."""
    size = choose_size(WORKER, wish(storage_gib=100, spot=False))
    assert size == ContainerSize(2, 4096, 100, spot=False, architecture="arm64")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"memory_mib": 3000},
            "options.container.memory_mib is 3000; with 2 vCPU Fargate has 4096 to 16384, near to "
            "it 4096 and 5120",
        ),
        ({"vcpu": 0.25, "memory_mib": 1536}, "with 0.25 vCPU Fargate has 512 to 2048"),
        ({"vcpu": 8, "memory_mib": 17408}, "near to it 16384 and 20480"),
        ({"architecture": "x86_64"}, "the worker's package is built for arm64"),
    ],
)
def test_what_fargate_or_the_worker_has_not_is_refused(options: dict[str, Any], words: str) -> None:
    """It says what there is."""
    with pytest.raises(InvalidRequest) as refused:
        choose_size(WORKER, wish(**options))
    assert words in str(refused.value)


def test_its_own_architecture_may_be_said() -> None:
    """Nothing is refused that is so anyway."""
    assert choose_size(WORKER, wish(architecture="arm64")) == WORKER
