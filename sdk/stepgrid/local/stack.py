"""The deployed stack, seen through CloudFormation. It must not know the SAM CLI or processes."""

from __future__ import annotations

from typing import Any

import botocore.exceptions

_FAILED = ("CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED")


def stack_outputs(cloudformation: Any, stack_name: str) -> dict[str, str]:
    """The outputs of the stack by name."""
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def stack_failures(cloudformation: Any, stack_name: str) -> list[str]:
    """Why resources failed, newest first; empty when that can't be told."""
    try:
        events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
    except botocore.exceptions.ClientError:
        return []
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event.get("ResourceStatus") in _FAILED
    ]


def function_names(cloudformation: Any, stack_name: str) -> dict[str, str]:
    """The stack's Lambda functions: name in the template -> deployed name."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name)
    resources = [item for page in pages for item in page["StackResourceSummaries"]]
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in resources
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }
