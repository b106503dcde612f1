"""`python -m mdaf_core`."""

from mdaf_core.cli.main import main

if __name__ == "__main__":
    main()
