"""The doctor: looks at all that a run would read, and says what a run would make of it."""
