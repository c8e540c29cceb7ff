"""Federation: organizations that run one analysis together on data that stays with each of them.

    researcher --task--> one run per organization --> its node, on its own premises --> results

A task is a session of the backend `node`, of one chunk per organization. Its routes and shapes are
vantage6's, so that vantage6's own clients and nodes work. Knows no HTTP server, no AWS.
"""
