"""The fleet's tmux servers: the hands that act on their panes, and the eyes that look at them."""
