"""`python -m workers` whose clock looks for forgotten effects each second, not every 15."""

from __future__ import annotations

from workers import clock
from workers.__main__ import main

# By default an effect is looked for after 30 s: each test that loses one would take as long.
FAST_CLOCK = {"EFFECTS_INTERVAL": 1.0, "EFFECT_GRACE": 1}

if __name__ == "__main__":
    vars(clock).update(FAST_CLOCK)
    main()
