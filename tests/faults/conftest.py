"""Fixtures of the fault tests."""

from tests.redis_bench import redis_server

__all__ = ["redis_server"]
