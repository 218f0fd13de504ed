"""How the page is served, and who may come in."""
