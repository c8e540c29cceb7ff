"""Tells its caller's ARN; asked to, leaves a process behind that is in a session of its own."""

import json
import subprocess

VERSION = 1


def handler(event, context):
    if "leave_process" in event:
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        return {"pid": child.pid}
    print("echo was called")
    caller = event["requestContext"]["identity"]["userArn"]
    return {"statusCode": 200, "body": json.dumps({"version": VERSION, "caller": caller})}
