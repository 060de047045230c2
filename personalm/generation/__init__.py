"""Generation: from prompts to draws.

`Engine` is the seam. `TorchEngine` runs a language model, `ScriptedEngine` writes words by hash and
needs none. The room knows token ids and sampling settings; it knows no users, templates or gates.
"""

import os

# Threads of torch that wait for each other by spinning stop a shared machine: with one other busy
# core two threads were up to ten times slower than one. OpenMP reads this when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
