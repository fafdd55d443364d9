"""The endpoint: Stripe's own check of the signature, then RQ's enqueue."""

from __future__ import annotations

import os

import stripe
from redis import Redis
from rq import Queue
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.benchmarks.peers.rq_twenty_lines.jobs import apply

SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]
queue = Queue(connection=Redis.from_url(os.environ["REDIS_URL"]))


async def webhook(request: Request) -> Response:
    """200 once it is queued."""
    body, signature = await request.body(), request.headers.get("stripe-signature", "")
    try:
        event = stripe.Webhook.construct_event(body, signature, SECRET)
    except (ValueError, stripe.SignatureVerificationError):
        return Response(status_code=400)
    session = event.data.object
    queue.enqueue(apply, session["client_reference_id"], session["status"], event.created)
    return Response(status_code=200)


app = Starlette(routes=[Route("/webhooks/stripe", webhook, methods=["POST"])])
