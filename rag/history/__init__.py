"""What was asked and answered before: conversations, each of one person alone."""
