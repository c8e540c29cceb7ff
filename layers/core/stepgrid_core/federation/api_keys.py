"""API keys of nodes: only their hashes are kept. Knows no node."""

import hashlib
import uuid


def make_key() -> str:
    """A new one, as vantage6's nodes have them in their configuration."""
    return str(uuid.uuid4())


def hash_key(api_key: str) -> str:
    """By this a node is found. Keys are random and long, so a plain hash can't be guessed."""
    return hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(key_hash: str) -> str:
    """Stands in a node's tokens: they end with its key. The hash itself is not told."""
    return hashlib.sha256(key_hash.encode()).hexdigest()[:16]
