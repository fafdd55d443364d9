"""Options that commands share: which mode and which account."""

from __future__ import annotations

from typing import Any

import click

from app.domain.durations import parse_duration
from app.domain.fields import PURPOSE, PURPOSE_FORM
from app.stores import Stores


class Duration(click.ParamType[int]):
    """A length of time as `90s`, `15m`, `2h` or `3d`, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Parse the option; a usage error if it is not a length of time, or is none."""
        seconds = value if isinstance(value, int) else parse_duration(str(value))
        if not seconds:
            self.fail(f"{value!r} is not a length of time: write 90s, 15m, 2h or 3d", param, ctx)
        return seconds


DURATION = Duration()
mode_option = click.option(
    "--live/--test", "live", default=None, help="The mode; default: that of STRIPE_API_KEY."
)
account_option = click.option(
    "--account", default="", help="The connected account (acct_…); default: your own."
)

each_account_option = click.option(
    "--account",
    "only_account",
    default=None,
    help="Only this connected account (acct_…); default: your own and all in the ledger.",
)


def _purpose(context: click.Context, option: click.Parameter, value: str) -> str:
    if value and not PURPOSE.match(value):
        raise click.BadParameter(PURPOSE_FORM)
    return value


purpose_option = click.option(
    "--purpose", default="", callback=_purpose, help="What for (PURPOSE_METADATA_KEY)."
)


def chosen_mode(stores: Stores, live: bool | None) -> bool:
    """Whether it is live mode that `mode_option` has chosen."""
    return stores.settings.livemode if live is None else live
