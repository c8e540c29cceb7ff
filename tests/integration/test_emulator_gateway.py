"""API Gateway of the emulator: its faults that are mended, see emulator_bench."""

import json

import requests

from tests.integration.emulator_bench import REGION, Cloud, make_function

OCTETS = {"Content-Type": "application/octet-stream"}


def make_echo(cloud: Cloud, api_name: str, field: str) -> str:
    """An API whose only route answers a part of its event; the route's path."""
    text = f"def run(event, _): return {{'statusCode': 200, 'body': str(event{field})}}"
    name = make_function(cloud, f"echoing-{api_name}", {"handler.py": text})
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{name}/invocations"
    post = {"x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": uri}}
    api = {"openapi": "3.0.1", "info": {"title": api_name}, "paths": {"/echo": {"post": post}}}
    resources = {
        "Api": {
            "Type": "AWS::ApiGateway::RestApi",
            "Properties": {"Name": api_name, "Body": api, "BinaryMediaTypes": ["*~1*"]},
        },
        "Deployment": {
            "Type": "AWS::ApiGateway::Deployment",
            "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "stage"},
        },
    }
    stacks = cloud.client("cloudformation")
    template = {"Resources": resources, "Outputs": {"Api": {"Value": {"Ref": "Api"}}}}
    stacks.create_stack(StackName=api_name, TemplateBody=json.dumps(template))
    waiter = stacks.get_waiter("stack_create_complete")
    waiter.wait(StackName=api_name, WaiterConfig={"Delay": 1})
    (stack,) = stacks.describe_stacks(StackName=api_name)["Stacks"]
    return f"/_aws/execute-api/{stack['Outputs'][0]['OutputValue']}/stage/echo"


def test_binary_media_types_of_a_template(kind: str, cloud: Cloud) -> None:
    """AWS takes them escaped, and bodies are bytes; for the emulator no type is one of them."""
    path = make_echo(cloud, "bytes", "['isBase64Encoded']")
    answer = requests.post(cloud.url + path, data=b"\xff", headers=OCTETS, timeout=30)
    assert answer.text == ("False" if kind == "ministack" else "True")


def test_where_a_client_asked(kind: str, cloud: Cloud) -> None:
    """On AWS it is the path of the request; the emulator leaves out what is before the stage."""
    path = make_echo(cloud, "paths", "['requestContext']['path']")
    answer = requests.post(cloud.url + path, timeout=30)
    assert answer.text == ("/stage/echo" if kind == "ministack" else path)
