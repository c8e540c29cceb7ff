"""A discrete-event simulation of a session on AWS, or on the local cloud.

    scenarios    what is asked for                 profiles   the constants of a cloud
    rules        what is the real grid's own       plans      how it would cut a session
    resources    rates, servers, cores (simpy)
    services     AWS, as a session sees it         functions  Lambda's environments
    client, child, latch, sessions                 the flow of one session
    bounds, bottlenecks                            what the session waits for
    usage        what is billed                    report     text for people

Only `rules` knows planes of the core, and no cloud is called. It needs `stepgrid[simulate]`.
"""
