"""`python -m lossdemo` is `lossdemo`."""

from lossdemo.cli import main

main(prog_name="lossdemo")
