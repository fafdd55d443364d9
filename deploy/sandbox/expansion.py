"""`expand`: what Stripe shows of a session or a report only on request.

Dates of birth and the numbers of people and documents need a restricted key as well:
https://docs.stripe.com/identity/access-verification-results.
"""

from collections.abc import Iterable
from typing import Any

from deploy.sandbox.errors import invalid_parameter, not_permitted
from deploy.sandbox.session import VERIFIED, Session
from deploy.sandbox.state import State

_OUTPUTS = "verified_outputs"
_REPORT = "last_verification_report"
_SENSITIVE_OUTPUTS = ("dob", "id_number")
_SENSITIVE_IN_REPORT = (
    "document.dob",
    "document.expiration_date",
    "document.number",
    "id_number.dob",
    "id_number.id_number",
)
_NAMES = {
    _OUTPUTS,
    _REPORT,
    *(f"{_OUTPUTS}.{name}" for name in _SENSITIVE_OUTPUTS),
    *(f"{_REPORT}.{name}" for name in _SENSITIVE_IN_REPORT),
}


def read_expand(given: dict[str, Any], restricted: bool, under: str = "") -> list[str]:
    """The expansions of a call about a session, or (`under` is `data.`) of a list of them.

    Raises StripeError for unknown ones, and for those that need a restricted key.
    """
    names = _expandable(given, _NAMES, under)
    _permit([name for name in names if "." in name], restricted)
    return names


def read_report_expand(given: dict[str, Any], restricted: bool, under: str = "") -> list[str]:
    """The expansions of a call about reports. Raises StripeError as `read_expand` does."""
    names = _expandable(given, _SENSITIVE_IN_REPORT, under)
    _permit(names, restricted)
    return names


def _expandable(given: dict[str, Any], known: Iterable[str], under: str) -> list[str]:
    names: list[str] = given.get("expand", [])
    for name in names:
        if name in known and under:
            raise invalid_parameter(
                "expand",
                f"This property cannot be expanded ({name}). You may want to try expanding "
                f"'{under}{name}' instead.",
            )
        if not name.startswith(under) or name.removeprefix(under) not in known:
            raise invalid_parameter("expand", f"This property cannot be expanded ({name}).")
    return [name.removeprefix(under) for name in names]


def show_session(state: State, session: Session, expand: list[str]) -> dict[str, Any]:
    """The session as Stripe answers it, with what `expand` names."""
    answer = session.render(state.base_url)
    if _requested(expand, _OUTPUTS):
        # A session that failed, or is no longer verified, has none.
        outputs = session.verified_outputs if session.status == VERIFIED else None
        answer[_OUTPUTS] = outputs and _show(outputs, _SENSITIVE_OUTPUTS, _within(expand, _OUTPUTS))
    if _requested(expand, _REPORT) and session.last_verification_report is not None:
        report = state.reports[session.last_verification_report].content
        answer[_REPORT] = show_report(report, _within(expand, _REPORT))
    return answer


def show_report(report: dict[str, Any], expand: list[str]) -> dict[str, Any]:
    """The report as Stripe answers it, with the sensitive fields that `expand` names."""
    answer = dict(report)
    for check in ("document", "id_number"):
        if check in report:
            sensitive = _within(_SENSITIVE_IN_REPORT, check)
            answer[check] = _show(report[check], sensitive, _within(expand, check))
    return answer


def _permit(sensitive: list[str], restricted: bool) -> None:
    if sensitive and not restricted:
        raise not_permitted(", ".join(sensitive))


def _requested(names: Iterable[str], field: str) -> bool:
    return any(name == field or name.startswith(f"{field}.") for name in names)


def _within(names: Iterable[str], field: str) -> list[str]:
    return [name.removeprefix(f"{field}.") for name in names if name.startswith(f"{field}.")]


def _show(value: dict[str, Any], sensitive: Iterable[str], expand: list[str]) -> dict[str, Any]:
    """What is neither sensitive nor asked for is left out, as Stripe's types have it (`?:`)."""
    return {key: field for key, field in value.items() if key not in sensitive or key in expand}
