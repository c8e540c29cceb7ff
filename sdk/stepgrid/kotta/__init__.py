"""The command `kotta`: Cloud Kotta's client for this grid.

    auth     the file with the token, and where it is found
    jobfile  job descriptions, as JSON or as Python's literals
    client   the `/rest/v1` routes
    status   what the server says of a job, read
    fetching outputs, into a folder of the job's id
    cli      the flags and what is printed

It signs nothing and needs no boto3: the token says who calls.
"""
