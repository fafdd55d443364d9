"""The environment, described once and read once: settings, and what may be in them."""
