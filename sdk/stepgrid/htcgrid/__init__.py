"""HTC-Grid's clients for stepgrid: scripts written for HTC-Grid run as they are.

    from stepgrid.htcgrid import AWSConnector, load_agent_config

    connector = AWSConnector(client_config_data=load_agent_config())
    connector.authenticate()
    submitted = connector.send([{"worker_arguments": ["1000", "1", "1"]}])
    print(connector.get_results(submitted)["finished_OUTPUT"])          # ["1000"]

The distribution stepgrid-htcgrid adds the names that such scripts import: `api.connector` and
`htc_grid_client`. docs/htcgrid.md says what is the same and what is better.
"""

from .agent_config import AgentConfig, load_agent_config
from .client import GridConnectionError, HTCGridClient
from .connector import AWSConnector

__all__ = [
    "AWSConnector",
    "AgentConfig",
    "GridConnectionError",
    "HTCGridClient",
    "load_agent_config",
]
