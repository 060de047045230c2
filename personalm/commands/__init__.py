"""The commands of the shell, some to a module; each loads what it needs when it runs."""
