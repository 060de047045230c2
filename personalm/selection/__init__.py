"""Selection: candidates in, one chosen text or none out.

Gates come before ranking, because a copy of the user's own words wins every style score. What
passes them is compared with the user's own texts by sentence embeddings, and the nearest one is
chosen. Selectors choose, judges evaluate: nothing here may be used to prove that a text is like
its user. Knows no engine, no templates beyond a kind's front matter, and no store.
"""
