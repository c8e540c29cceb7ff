"""The ports on AWS: the only place of the core that imports boto3 and botocore."""
