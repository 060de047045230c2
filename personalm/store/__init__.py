"""Store: the output folder, where every run ends.

Finished units go into the journal of their run; one publish merges them, bucket by bucket, into
immutable Parquet files and commits these as the next numbered snapshot. Readers see the newest
snapshot whole. It knows records and Parquet; it knows no inputs, no models and no prompts.
"""
