"""Training: a model that has learned how its users write, measured honestly, published whole.

It stands above the rooms: examples are made by the prompter that writes the prompts of a run, and
what is published is measured as a run loads it. Torch and transformers are loaded by those of its
modules that train or measure.
"""
