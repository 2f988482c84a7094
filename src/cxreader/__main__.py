"""`python -m cxreader` is the command `cxreader`."""

from cxreader.cli import main

if __name__ == "__main__":
    main()
