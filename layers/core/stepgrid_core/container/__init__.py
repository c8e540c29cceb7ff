"""What runs in a container: pullers that take chunk after chunk until their session is dry.

    bootstrap (template.yaml) --> python -m stepgrid_core.container
                                    |-- puller 0 --claim--> broker      one for each vCPU,
                                    |     `-- run_claim ==> Runner      each a process of its own
                                    `-- puller 1 ...

SIGTERM (Spot, a stop) goes to all pullers: they start nothing more, what runs may end within the
stop timeout, and the rest is handed back. The same worker library runs here as in a function; only
its way to the rows is another one.
"""
