"""`python -m aiojobs_engine`."""

from aiojobs_engine.cli.main import main

if __name__ == "__main__":
    main()
