"""`python -m phloem`: the command line."""

from phloem.jobs.command_line import main

if __name__ == "__main__":
    main()
