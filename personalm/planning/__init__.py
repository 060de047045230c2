"""Planning: from one bucket of users to units of tasks.

It decides what each request is about, which requests need no new text, which cannot be served
and why, and in which fixed portions the rest is written. It knows no Parquet, no Jinja, no torch.
"""
