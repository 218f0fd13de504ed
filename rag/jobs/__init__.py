"""Long work in processes of its own, that outlives whoever began it: each job is a folder."""
