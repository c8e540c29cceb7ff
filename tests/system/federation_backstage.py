"""What the operator of a deployed federation sees of it: its tables, and subjects of users."""

from __future__ import annotations

from typing import Any

import boto3

from stepgrid.local import LocalCloud
from stepgrid.local.emulator import REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY


def subject_of(cloud: LocalCloud, username: str) -> str:
    pool = cloud.status().outputs["UserPoolId"]
    found = cloud.client("cognito-idp").admin_get_user(UserPoolId=pool, Username=username)
    (subject,) = (each["Value"] for each in found["UserAttributes"] if each["Name"] == "sub")
    return str(subject)


def dynamodb_of(cloud: LocalCloud) -> Any:
    return boto3.resource(
        "dynamodb",
        endpoint_url=cloud.status().aws_endpoint_url,
        region_name=REGION,
        aws_access_key_id=ROOT_ACCESS_KEY_ID,
        aws_secret_access_key=ROOT_SECRET_ACCESS_KEY,
    )
