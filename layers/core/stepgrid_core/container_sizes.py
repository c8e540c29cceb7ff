"""Which sizes of containers Fargate has, and which one a session gets. Pure.

Source: ECS developer guide, "Fargate task size": CPU and memory go together in steps.
"""

from dataclasses import replace

from .contract import ContainerOptions
from .errors import InvalidRequest
from .records import ContainerSize

GIB = 1024


def _steps(least: int, most: int, step: int = 1) -> tuple[int, ...]:
    """In MiB, from so many GiB to so many."""
    return tuple(range(least * GIB, most * GIB + 1, step * GIB))


#: vCPU -> the memory that it can have, in MiB
MEMORY_MIB: dict[float, tuple[int, ...]] = {
    0.25: (512, 1 * GIB, 2 * GIB),
    0.5: _steps(1, 4),
    1: _steps(2, 8),
    2: _steps(4, 16),
    4: _steps(8, 30),
    8: _steps(16, 60, 4),
    16: _steps(32, 120, 8),
    32: (60 * GIB, 120 * GIB, 244 * GIB),
}
#: What can be asked for beyond the 20 GiB that every container has.
LEAST_STORAGE_GIB = 21


def default_size(architecture: str) -> ContainerSize:
    """One vCPU: what a function of the grid has, too."""
    return ContainerSize(1, 2 * GIB, LEAST_STORAGE_GIB, spot=True, architecture=architecture)


def check_memory(vcpu: float, memory_mib: int, what: str = "memory_mib") -> None:
    """Raises ValueError that says what so many vCPUs can have."""
    sizes = MEMORY_MIB[vcpu]
    if memory_mib not in sizes:
        near = sorted(sorted(sizes, key=lambda size: abs(size - memory_mib))[:2])
        raise ValueError(
            f"{what} is {memory_mib}; with {vcpu:g} vCPU Fargate has {sizes[0]} to {sizes[-1]}, "
            f"near to it {' and '.join(map(str, near))}"
        )


def choose_size(of_worker: ContainerSize, wished: ContainerOptions | None) -> ContainerSize:
    """The worker's size with what the caller wished for; memory fits the vCPUs where none was said.

    Raises InvalidRequest for a size that Fargate does not have, or another architecture.
    """
    if wished is None:
        return of_worker
    said = wished.model_dump(exclude_none=True, exclude={"count"})
    if said.get("architecture", of_worker.architecture) != of_worker.architecture:
        raise InvalidRequest(
            f"options.container.architecture is {said['architecture']}; the worker's package is "
            f"built for {of_worker.architecture}"
        )
    size = replace(of_worker, **said)
    if wished.memory_mib is None:
        return _fit_memory(size)
    try:
        check_memory(size.vcpu, size.memory_mib, "options.container.memory_mib")
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    return size


def _fit_memory(size: ContainerSize) -> ContainerSize:
    """With as much memory, or the next more that its vCPUs can have; else with their most."""
    sizes = MEMORY_MIB[size.vcpu]
    return replace(size, memory_mib=next((s for s in sizes if s >= size.memory_mib), sizes[-1]))
