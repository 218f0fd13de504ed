"""The page in a browser: thin views over rag/. Views show, pure functions render, rag/ does."""
