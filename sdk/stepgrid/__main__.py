"""`python -m stepgrid`: the command `stepgrid`, of the interpreter that was named."""

from stepgrid.cli import main

if __name__ == "__main__":
    main()
