"""What sources really send: every landed table measured, what is odd about it in words, and what changed since."""
