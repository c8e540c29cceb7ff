"""The shared core of stepgrid: what the functions, the workers and the SDK agree on.

Nothing here may import the functions or the SDK; only `stepgrid_core.aws` may import boto3.
"""

__version__ = "0.1.0"
