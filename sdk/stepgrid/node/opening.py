"""Puts a node together from its file and what the server says of it. The only place that does.

The file has the last word on encryption: a server that says otherwise is not believed.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from stepgrid.federation_crypto import PrivateKey
from stepgrid.node import wire
from stepgrid.node.algorithms.starts import Starts
from stepgrid.node.config import NodeConfig
from stepgrid.node.folders import Folders
from stepgrid.node.journal import Journal, lock
from stepgrid.node.payloads import EncryptedPayloads, Payloads, PlainPayloads
from stepgrid.node.program import Node
from stepgrid.node.proxy import Desk, Proxy
from stepgrid.node.runs import Workshop
from stepgrid.node.server import Server
from stepgrid.node.wire import Identity
from stepgrid_core.errors import ConfigurationError

logger = logging.getLogger("stepgrid.node")


def read_payloads(config: NodeConfig, identity: Identity) -> Payloads:
    """How the collaboration writes them. Raises OSError, ConfigurationError."""
    if config.private_key is None:
        if identity.encrypted:
            raise ConfigurationError(
                f"collaboration {identity.collaboration!r} is encrypted: give private_key in "
                "node.yaml, the file with the key of this organization"
            )
        return PlainPayloads()
    if not identity.encrypted:
        raise ConfigurationError(
            f"node.yaml has a private_key, but collaboration {identity.collaboration!r} is not "
            "encrypted: take it out if results may be readable for the server"
        )
    key = PrivateKey.load(config.private_key)
    if identity.public_key and key.public_key.text != identity.public_key:
        raise ConfigurationError(
            f"private_key is not the key of organization {identity.organization!r}, as the server "
            "knows it: take the key that its users have, or have the server's replaced"
        )
    return EncryptedPayloads(key)


@contextmanager
def open_node(config: NodeConfig) -> Iterator["Node"]:
    """Log in and get ready; at the end everything that it started is stopped.

    Raises StepgridError, OSError.
    """
    stopping = threading.Event()
    with lock(config.data_dir):
        server = Server(config.base_url, config.api_key.get_secret_value(), stopping, logger.info)
        identity = wire.read_identity(server)
        payloads = _settle_key(config, server, identity)
        desk = Desk(server, payloads)
        with Proxy(desk, _proxy_address(config)) as proxy:
            shop = Workshop(
                config=config,
                server=server,
                payloads=payloads,
                journal=Journal(config.data_dir / "journal"),
                folders=_folders(config),
                starts=_starts(config),
                desk=desk,
                proxy=proxy,
                tell=logger.info,
            )
            node = Node(shop, identity, stopping)
            try:
                yield node
            finally:
                node.close()


def check_node(config: NodeConfig) -> Identity:
    """Who this node is; one login, no run is taken. Raises StepgridError, OSError."""
    stopping = threading.Event()
    stopping.set()  # a server that does not answer is an answer
    with closing(Server(config.base_url, config.api_key.get_secret_value(), stopping)) as server:
        identity = wire.read_identity(server)
    read_payloads(config, identity)
    return identity


def _settle_key(config: NodeConfig, server: Server, identity: Identity) -> Payloads:
    payloads = read_payloads(config, identity)
    if isinstance(payloads, EncryptedPayloads) and not identity.public_key:
        wire.give_public_key(server, identity.organization_id, payloads.public_key)
        logger.info("gave the server the public key of organization %r", identity.organization)
    return payloads


def _proxy_address(config: NodeConfig) -> str:
    uses_docker = any(each.container for each in config.algorithms)
    return config.docker.proxy_address if uses_docker else "127.0.0.1"


def _folders(config: NodeConfig) -> Folders:
    return Folders(config.data_dir, config.task_dir_retention_hours, config.job_dir_retention_hours)


def _starts(config: NodeConfig) -> Starts:
    """And nothing that an earlier process of this node started is left."""
    owner = hashlib.sha256(str(config.data_dir.resolve()).encode()).hexdigest()[:12]
    starts = Starts(config.docker, config.policies.require_algorithm_pull, owner, os.environ)
    if any(each.container for each in config.algorithms):
        starts.remove_left()
    return starts
