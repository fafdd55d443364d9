"""What a team needs to run the reconciler: a local Stripe Identity, images and manifests."""
