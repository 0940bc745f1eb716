"""`python -m netwright` is the command `netwright`, where scripts are not on the path."""

from netwright.cli import main

if __name__ == "__main__":
    main()
