"""A discrete-event simulation of a session on AWS, or on the local cloud.

    scenarios    what is asked for                 profiles   the constants of a cloud
    plans        the grid's own planner            resources  rates, servers, cores (simpy)
    services     AWS, as a session sees it         functions  Lambda's environments
    client, child, latch, sessions                 the flow of one session
    bounds, bottlenecks                            what the session waits for
    usage        what is billed                    report     text for people

It imports no plane of the core and calls no cloud; it needs the extra `stepgrid[simulate]`.
"""
