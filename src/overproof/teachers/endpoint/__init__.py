"""A language model behind an OpenAI-compatible address: what it is asked, what it answered, and what that cost."""
