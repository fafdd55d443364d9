"""The console: pages for the person on call. Nothing of it is imported where it is off."""
