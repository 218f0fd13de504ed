"""Beluga RAG: ask your own PDFs and Wikipedia, and get answers that cite the page they came from."""

__version__ = "0.1.0"
