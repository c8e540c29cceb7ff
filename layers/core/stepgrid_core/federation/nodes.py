"""Nodes: whether they are there, and what becomes of them with their place in a collaboration."""

from dataclasses import replace

from .changes import remove, revise
from .members import without_member
from .records import Node, Study
from .registry import Registry

#: A node that waits for work asks again after 20 s at most.
ONLINE_SECONDS = 90.0
#: A node is written as seen so often and not more.
SEEN_SECONDS = 20.0


def is_online(node: Node, now: float) -> bool:
    """Was it heard of lately? `node.online` is only what was last told of it.

    In the cloud it is always there.
    """
    if node.cloud is not None:
        return True
    return node.seen_at > 0 and now - node.seen_at < ONLINE_SECONDS


def status_of(node: Node, now: float) -> str:
    return "online" if is_online(node, now) else "offline"


def note_seen(registry: Registry, node: Node, now: float) -> Node:
    """It was heard of. Undoes nothing that others write meanwhile; a lost race is not repeated."""
    if now - node.seen_at < SEEN_SECONDS:
        return node
    entity = registry.table.read(Node.KIND, node.id)
    if entity is None:
        return node
    seen = replace(Node.read(entity.id, entity.values), seen_at=now)
    registry.table.replace(entity, seen.as_values())
    return seen


def note_online(registry: Registry, node: Node, now: float) -> None:
    """It has connected, which others are told."""
    revise(registry, node, lambda found: replace(found, seen_at=now, online=True))


def note_instance(registry: Registry, node: Node, instance: str) -> None:
    """A process of it asks; whatever asked before it is given nothing any more."""
    if node.instance != instance:
        revise(registry, node, lambda found: replace(found, instance=instance))


def note_left(registry: Registry, node: Node, now: float) -> None:
    """It said goodbye: nobody waits until it has been silent for long."""
    silent = now - ONLINE_SECONDS
    revise(registry, node, lambda found: replace(found, seen_at=silent, online=False, instance=""))


def leave_collaboration(registry: Registry, organization_id: int, collaboration_id: int) -> None:
    """What an organization had in a collaboration it is no longer in: node and part in studies."""
    node = registry.node_of(organization_id, collaboration_id)
    if node is not None:
        remove(registry, node)
    for study in registry.find_all(Study):
        if study.collaboration_id == collaboration_id and organization_id in study.organization_ids:
            revise(registry, study, lambda old: without_member(old, organization_id))
