"""Which sizes of containers Fargate has, and which one a session gets. Pure.

Source: ECS developer guide, "Fargate task size": CPU and memory go together in steps.
"""

from dataclasses import replace

from .contract import ContainerOptions
from .errors import InvalidRequest
from .records import ContainerSize

#: vCPU -> least, most and step of its memory, in GiB; the smallest also has half a GiB
_MEMORY_GIB = {
    0.25: (0.5, 2, 0.5),
    0.5: (1, 4, 1),
    1: (2, 8, 1),
    2: (4, 16, 1),
    4: (8, 30, 1),
    8: (16, 60, 4),
    16: (32, 120, 8),
}
#: The quarter of a vCPU has no 1.5 GiB.
_SMALLEST_MIB = (512, 1024, 2048)
GIB = 1024
#: What can be asked for beyond the 20 GiB that every container has.
LEAST_STORAGE_GIB = 21


def default_size(architecture: str) -> ContainerSize:
    """One vCPU: what a function of the grid has, too."""
    return ContainerSize(1, 2 * GIB, LEAST_STORAGE_GIB, spot=True, architecture=architecture)


def memory_sizes(vcpu: float) -> list[int]:
    """The memory that so many vCPUs can have, in MiB."""
    if vcpu == min(_MEMORY_GIB):
        return list(_SMALLEST_MIB)
    least, most, step = _MEMORY_GIB[vcpu]
    return [int(GIB * (least + step * n)) for n in range(int((most - least) / step) + 1)]


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
    sizes = memory_sizes(size.vcpu)
    if size.memory_mib in sizes:
        return size
    if wished.memory_mib is None:
        return replace(size, memory_mib=next((s for s in sizes if s >= size.memory_mib), sizes[-1]))
    raise InvalidRequest(
        f"options.container.memory_mib is {wished.memory_mib}; with {size.vcpu:g} vCPU Fargate has "
        f"{', '.join(map(str, sizes[:8]))}{' ...' if len(sizes) > 8 else ''}"
    )
