"""Items as DynamoDB's client writes them: every value with its type. Pure."""

from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from .rows import Item


def typed(item: Item) -> dict[str, Any]:
    write = TypeSerializer().serialize
    return {name: write(value) for name, value in item.items()}


def untyped(item: dict[str, Any]) -> Item:
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in item.items()}
