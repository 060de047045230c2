"""Inputs: Parquet tables in, one user's records out.

Files are found and checked, columns are matched by name and cast to the data contract, ids become
canonical text, and every row is spilled into the bucket of its user. This room knows Parquet and
the contract; it knows no template, no model and no store.
"""
