"""The command line: `python -m aiojobs_engine`, also installed as `aiojobs-engine`."""
