"""What is put away of an agent's work, and how it is brought back."""
