"""Runs a job: a command with staged inputs and outputs, in a container.

    JobRunner --thread--> JobRun: stage in --> process --> stage out --> JobDesk
        |                          |
        | lines of STDOUT, STDERR  `-- guard (a process) -- the job's processes
        v
    PrintSink

The process of the runner touches no file of a job but by the descriptor of its folder, and gives a
job nothing but that folder, a small environment and a user of its own. See docs/decisions/0034.
"""

from .addresses import is_public_address
from .limits import StagingLimits
from .process import JobUser, own_user
from .runner import JobRunner

__all__ = ["JobRunner", "JobUser", "StagingLimits", "is_public_address", "own_user"]
