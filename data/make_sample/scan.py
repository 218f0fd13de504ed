"""A page that only an eye or OCR can read: text drawn as pixels, slightly turned, grainy and uneven in light."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

import numpy as np
import reportlab
from PIL import Image, ImageDraw, ImageFilter, ImageFont

DPI = 150
WIDTH, HEIGHT = int(8.27 * DPI), int(11.69 * DPI)
FONTS = Path(reportlab.__file__).parent / "fonts"  # Bitstream Vera travels with reportlab, so every machine draws alike
INK = 38


def font(name: str, points: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS / name), round(points * DPI / 72), layout_engine=ImageFont.Layout.BASIC)


def typed(paper: ImageDraw.ImageDraw, text: str) -> int:
    """Types the paragraphs, the first as a heading, and returns the height reached."""
    top = round(0.95 * DPI)
    heading, *paragraphs = text.strip().split("\n\n")
    paper.text((WIDTH / 2, top), heading, font=font("VeraBd.ttf", 15), fill=INK, anchor="mt")
    top += round(0.42 * DPI)
    for number, paragraph in enumerate(paragraphs):
        centred = number < 2
        for line in textwrap.wrap(" ".join(paragraph.split()), 76):
            place, anchor = (WIDTH / 2, "ma") if centred else (round(0.95 * DPI), "la")
            paper.text((place, top), line, font=font("Vera.ttf", 10), fill=INK, anchor=anchor)
            top += round(0.225 * DPI)
        top += round(0.15 * DPI)
    return top


def signed(paper: ImageDraw.ImageDraw, top: int) -> None:
    """Two signature lines with names beneath, a signature above each, and a round stamp."""
    people = [(0.95, "Ruth Airey", "Chief Executive, Supplier"), (4.5, "Owen Blakemore", "Managing Director, Customer")]
    for inches, name, office in people:
        left = round(inches * DPI)
        paper.line((left, top + 90, left + 2.6 * DPI, top + 90), fill=INK, width=2)
        paper.text((left + 22, top + 22), name, font=font("callig15.pfb", 26), fill=60)
        paper.text((left, top + 100), f"{name}\n{office}", font=font("Vera.ttf", 9), fill=INK, spacing=8)
    centre = (WIDTH / 2 + 40, top + 260)
    for radius in (86, 80):
        paper.circle(centre, radius, outline=120, width=3)
    paper.multiline_text(centre, "RECEIVED\n17 NOV 2025\nCONTRACTS", font=font("VeraBd.ttf", 8), fill=120, anchor="mm",
                         align="center", spacing=6)  # fmt: skip


def scanned(text: str) -> bytes:
    """The page as a grey JPEG of 150 dpi."""
    image = Image.new("L", (WIDTH, HEIGHT), 246)
    paper = ImageDraw.Draw(image)
    signed(paper, typed(paper, text) + round(0.2 * DPI))
    image = image.rotate(0.7, Image.Resampling.BICUBIC, fillcolor=246).filter(ImageFilter.GaussianBlur(0.6))
    grain = np.random.default_rng(1961).normal(0, 5, (HEIGHT, WIDTH))
    shade = np.linspace(6, -14, WIDTH)[None, :]
    pixels = np.clip(np.asarray(image, dtype=np.float64) + grain + shade, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=42, dpi=(DPI, DPI))
    return stream.getvalue()
