"""Text that tells vocabularies apart: languages, spaces, code, marks, emoji, and what looks like a special token."""

import random

LINES = [
    "the cat sat on the mat, and the dog sat on the log.",
    "def add(first, second):\n\treturn first + second  # 12345",
    "我们在北京的大学里学习自然语言处理。今天天气很好，我想去公园散步。",
    "naïve café façade, straße; 日本語のテキスト 🚀",
    "I'm sure that you'll WE'VE they're he'd it's",
]
VARIED = [
    "", " ", "\n", "  two  spaces ", "a ", " a", "\r\n\r\n x\t\t", "\u3000wide\xa0space\u2028", "12345 678",
    "<unk> <s> </s> <0x41> <|end|> <|user|>x<|endoftext|>", "👩\u200d👩\u200d👧 1\ufe0f\u20e3 👍🏽", "▁a▁▁b▁",
    "½\u200dx ﬁ Ａ①",
        "cafe\u0301 한국어 \u1112\u1161\u11ab\u1100\u116e\u11a8 か\u3099 ｶﾞ", "مرحبا بالعالم שלום", "x" * 300, "a\x00b",
]  # fmt: skip
_ALPHABET = "abc ABC  \n\t\r,.;'\"éñ日本中文字😀👩\u200d0123456789<>/_-▁ﬁＡ\u3000½\xa0ſ"


def varied(count: int = 400) -> list[str]:
    """The texts above, and as many strings of the characters in them, the same each time."""
    draw = random.Random(7)
    return [*LINES, *VARIED, *("".join(draw.choices(_ALPHABET, k=draw.randint(1, 50))) for _ in range(count))]
