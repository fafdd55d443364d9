"""The OpenID Connect provider at which the console's people sign in. It needs the extra `oidc`."""
