"""Makes the picture of the demo, once as JPEG and once as WebP.
`pip install pillow==13.0.0`, then `python make.py` in this folder."""

import pathlib

from PIL import Image, ImageDraw, ImageFilter

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT, FINER = 480, 320, 4  # drawn larger, so that edges come out smooth

SKY_TOP, SKY_LOW = (38, 70, 110), (244, 190, 140)
STONE, MORTAR, IRON, GROUND = (122, 116, 110), (100, 95, 90), (40, 38, 42), (70, 84, 60)


def scaled(*numbers):
    return [number * FINER for number in numbers]


def sky():
    image = Image.new("RGB", scaled(WIDTH, HEIGHT))
    draw = ImageDraw.Draw(image)
    for y in range(HEIGHT * FINER):
        share = y / (HEIGHT * FINER)
        colour = tuple(round(a + (b - a) * share) for a, b in zip(SKY_TOP, SKY_LOW))
        draw.line((0, y, WIDTH * FINER, y), fill=colour)
    draw.ellipse(scaled(350, 60, 400, 110), fill=(255, 232, 190))
    return image.filter(ImageFilter.GaussianBlur(FINER))


def wall(draw):
    draw.rectangle(scaled(0, 270, WIDTH, HEIGHT), fill=GROUND)
    draw.rectangle(scaled(90, 90, 390, 280), fill=STONE)
    for left in range(90, 390, 50):  # battlements
        draw.rectangle(scaled(left, 60, left + 28, 90), fill=STONE)
    for row, y in enumerate(range(90, 280, 19)):
        draw.line(scaled(90, y, 390, y), fill=MORTAR, width=FINER)
        for x in range(90 + (row % 2) * 20, 390, 40):
            draw.line(scaled(x, y, x, y + 19), fill=MORTAR, width=FINER)


def gate(draw):
    draw.pieslice(scaled(170, 110, 310, 250), 180, 360, fill=(250, 214, 165))
    draw.rectangle(scaled(170, 180, 310, 280), fill=(250, 214, 165))
    for x in range(184, 310, 22):  # the portcullis, half down
        draw.rectangle(scaled(x, 118, x + 7, 222), fill=IRON)
        draw.polygon(scaled(x, 222, x + 7, 222, x + 3, 236), fill=IRON)
    for y in range(140, 222, 26):
        draw.rectangle(scaled(170, y, 310, y + 6), fill=IRON)
    draw.arc(scaled(164, 104, 316, 256), 180, 360, fill=MORTAR, width=7 * FINER)


def main():
    image = sky()
    draw = ImageDraw.Draw(image)
    wall(draw)
    gate(draw)
    image = image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    image.save(HERE / "gate.jpg", quality=72, optimize=True)
    image.save(HERE / "gate.webp", quality=72, method=6)


if __name__ == "__main__":
    main()
