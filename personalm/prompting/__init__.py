"""Prompting: from a task to the token ids that a model continues.

It chooses what of a user's history is shown, renders the template of the kind and fits the result
into the model's positions. It knows no engine and no Parquet.
"""
