"""`python -m blurdm_cli`: the `blurdm` command, for example for torchrun."""

from blurdm_cli.commands.app import main

if __name__ == "__main__":
    main()
