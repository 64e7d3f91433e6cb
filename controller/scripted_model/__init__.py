"""A local model server whose answers are scripted by the prompt: agent CLIs run against it without a key."""
