"""`python -m app.web.probe`: asks the web process whether it runs, for a container's health.

It is started every few seconds, so it imports nothing of ours.
"""

import http.client
import os
import sys

TIMEOUT = 3  # seconds
ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 (what HOST may say, not bound)


def main() -> int:
    """0 if it answers; else 1, and one line that says why."""
    host, port = os.environ.get("HOST", "").strip(), os.environ.get("PORT", "").strip() or "8000"
    host = "127.0.0.1" if host in ANY_ADDRESS else host
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"web does not answer at {host}:{port}: {error}\n")
        return 1
    finally:
        connection.close()
    if status != 200:
        sys.stderr.write(f"web answers {status} to GET /healthz\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
