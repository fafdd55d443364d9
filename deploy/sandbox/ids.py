"""Identifiers and secrets of Stripe's form."""

import random
import string

_ALPHABET = string.ascii_letters + string.digits


class Ids:
    """Makes identifiers from the randomness it is given; the same seed makes the same ones."""

    def __init__(self, randomness: random.Random) -> None:
        self.randomness = randomness

    def new(self, prefix: str, length: int = 24) -> str:
        """`prefix_` and `length` letters and digits, such as `vs_1NuN4z…`."""
        return f"{prefix}_{''.join(self.randomness.choices(_ALPHABET, k=length))}"
