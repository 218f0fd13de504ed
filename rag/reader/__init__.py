"""A small model that reads: which words of a passage answer a question, and whether any do."""
