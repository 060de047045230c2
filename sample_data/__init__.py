"""The sample data of the project: written by hand as TOML, kept as Parquet."""
