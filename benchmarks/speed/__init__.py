"""The speed bench: Ballast's whole DAG against model servers and a plain FastAPI program."""
