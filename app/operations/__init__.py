"""Use cases shared by web, the command line and workers: one file each."""
