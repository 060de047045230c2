"""The shell's commands as `python -m personalm`, where no script is on the path."""

from personalm.cli import main

if __name__ == "__main__":
    main()
