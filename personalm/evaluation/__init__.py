"""Evaluation: proof, or not, that a text written for a user sounds like that user.

Texts are written with a user's own profile, another's and none, for the same subjects and with
the same noise, and are compared with real texts that the prompts have never seen. The judges here
never choose a text, and what chooses texts never sees a judge: no room imports this one.
"""
