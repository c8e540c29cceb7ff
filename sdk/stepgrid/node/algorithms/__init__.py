"""How a node starts algorithms, by vantage6's contract: three files in, one out, an environment.

environment  names and values, as vantage6 encodes them
process      a process and all that it starts, of which nothing is left alive
commands     what is started for which kind: Python package, executable, container
"""
