"""The node: a program on an organization's premises that runs algorithms on data that stays there.

    server <==HTTPS, outbound only== Server --sync--> Node --> RunWorker, one for each run
                                        ^                        |        |
    algorithm --127.0.0.1--> Proxy -----'                     Journal   algorithms/

    config      node.yaml
    server      the way to the server, for ever patient
    wire        what is said to it
    opening     puts the node together
    program     the loop: what to begin, what to stop
    runs        one run, from its claim to the word that the server has its result
    policies    what this organization lets run
    payloads    inputs and results, as text that travels and as bytes
    journal     what must survive this process
    folders     where runs and jobs have their files
    proxy       what an algorithm may ask the server, and how it is encrypted
    algorithms  how an algorithm is started: vantage6's contract

Data leaves the premises as results only. The node trusts its own organization's node.yaml, and
neither the server nor whoever sends a task: see docs/decisions/0041-the-node.md.
"""
