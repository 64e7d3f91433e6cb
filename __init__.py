"""hhmrs: a supervisor for AI coding agents that run in tmux panes."""

__version__ = "0.1.0"
