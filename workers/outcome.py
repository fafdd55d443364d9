"""How an effect that was run has ended."""

from typing import Literal

Outcome = Literal["done", "dropped"]
