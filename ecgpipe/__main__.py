"""``python -m ecgpipe`` is the command ``ecgpipe``."""

from ecgpipe.cli.app import main

if __name__ == "__main__":
    main()
