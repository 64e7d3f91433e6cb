"""The daemon: the process, the loop, and what it does by the clock."""
