"""Why somebody does not get in by the provider. Each class' texts are for that person.

None quotes what the provider or the browser has sent.
"""

from __future__ import annotations

from app.domain.errors import IdentityError, Rejected, Transient


class ProviderAway(Transient):
    """The provider does not answer now: try again in a moment."""


class ProviderUnusable(IdentityError):
    """The provider answers otherwise than it should, or does not take us for its client."""


class SignInRefused(Rejected):
    """Somebody is not let in. `reason` is one word, for the log."""

    def __init__(self, reason: str, message: str, person: str | None = None) -> None:
        """`person` is whom the provider has signed in, once that is sure."""
        super().__init__(message)
        self.reason = reason
        self.person = person


class NotBegunHere(SignInRefused):
    """The provider's answer does not belong to a sign-in of this browser."""

    def __init__(self) -> None:
        """The text is for somebody who has waited for too long, or has two tabs open."""
        super().__init__(
            "not_begun_here",
            "this sign-in was not begun in this browser, is older than ten minutes, or was begun "
            "again in another tab: begin once more",
        )


class RefusedByProvider(SignInRefused):
    """The provider has not signed the person in."""


class TokenRefused(SignInRefused):
    """What the provider says of the person cannot be believed."""


class UnknownKey(TokenRefused):
    """The token is signed by a key that is not among the provider's."""

    def __init__(self) -> None:
        """The keys may have changed since they were read."""
        super().__init__(
            "unknown_key", "the provider's token is signed by a key that the provider does not have"
        )


class NobodyHere(SignInRefused):
    """The provider has signed the person in, and has said nothing that gives a role here."""
