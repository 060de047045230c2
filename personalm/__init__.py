"""personalm writes for every user in your Parquet, in that user's own voice."""
