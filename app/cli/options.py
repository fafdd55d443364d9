"""Options that commands share: which mode and which account."""

from __future__ import annotations

import click

from app.stores import Stores

mode_option = click.option(
    "--live/--test", "live", default=None, help="The mode; default: that of STRIPE_API_KEY."
)
account_option = click.option(
    "--account", default="", help="The connected account (acct_…); default: your own."
)


def chosen_mode(stores: Stores, live: bool | None) -> bool:
    """Whether it is live mode that `mode_option` has chosen."""
    return stores.settings.livemode if live is None else live
