"""A labelled fixture of private facts: sentences in which each fact is marked, and sentences in which none stands.

A fact is written ``{{kind:text}}`` in a marked sentence. Numbers are drawn, never anybody's: an IBAN has its check
digits computed here, a card number ends with Luhn's. Some facts are in forms that the rules do not promise to find, and
some decoys are all but facts, so neither recall nor precision is 1 by construction.
"""

import random
import re
from dataclasses import dataclass

_MARK = re.compile(r"\{\{(\w+):(.*?)\}\}")


@dataclass(frozen=True)
class Labelled:
    """A text, and (start, end, kind) of each fact in it."""

    text: str
    facts: tuple[tuple[int, int, str], ...]


def labelled(marked: str) -> Labelled:
    """The text of a marked sentence and its facts."""
    text, facts, end = "", [], 0
    for found in _MARK.finditer(marked):
        text += marked[end : found.start()]
        facts.append((len(text), len(text) + len(found[2]), found[1]))
        text += found[2]
        end = found.end()
    return Labelled(text + marked[end:], tuple(facts))


def fixture() -> list[Labelled]:
    draw = random.Random("private facts")
    sentences = [*_drawn(draw), *WRITTEN, *DECOYS, *_drawn_decoys(draw)]
    return [labelled(sentence) for sentence in sentences]


_AROUND = """
email: Write to {} today. | Contact: {} | mail {} or come by | ({}) | From: Ann Lee, {}, 3 May
email: my address is {}, not the other | "{}" | {} wrote: | questions go to {}; thanks
phone: Call {} now. | Tel: {} | Phone {}, ask for Ann | ({}) | Our number is {} (office). | {} - reception
phone: ring me on {} after six | Fax: {}\\nHours: 9 to 5 | mobile {} | You can reach us at {}.
ip: from {} at night | The host {} answered. | client={} status=200 | ping {} | [{}] login failed
ip: Connection from {} port 22 | resolver: {}\\n | {} - - "GET / HTTP/1.1" | banned {}, again | peer ({})
iban: Pay to {} please. | IBAN: {} | account {}, due 1 May | ({}) | IBAN {}\\nBIC ABCDEFGH
iban: transfer to {} by Friday
card: Card {} was charged. | card number: {} | pay with {}, exp 04/29 | Visa {} | ({}) | his card, {}, was lost
"""


def _drawn(draw: random.Random) -> list[str]:
    makers = {"email": _email, "phone": _phone, "ip": _ip, "iban": _iban, "card": _card}
    around: dict[str, list[str]] = {kind: [] for kind in makers}
    for line in _AROUND.strip().split("\n"):
        kind, _, parts = line.partition(": ")
        around[kind] += parts.replace("\\n", "\n").split(" | ")
    made = []
    for kind, maker in makers.items():
        for i in range(60):
            sentence = around[kind][i % len(around[kind])]
            made.append(sentence.replace("{}", f"{{{{{kind}:{maker(draw)}}}}}"))
    return made


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choice("0123456789") for _ in range(count))


def _email(draw: random.Random) -> str:
    first = draw.choice(["ann", "bo", "Carla", "d.e", "m\u00fcller", "x_y"])
    last = draw.choice(["lee", "O-Hara", "kim7", "ng"])
    local = draw.choice([f"{first}.{last}", first, f"{first}+news", f"{last}{_digits(draw, 3)}", f"{first}_{last}"])
    host = draw.choice(["mail", "uni-graz", "dept.cs.anywhere", "firma24", "b\u00fccher", "post.co"])
    return f"{local}@{host}.{draw.choice(['com', 'org', 'de', 'co.uk', 'io', 'museum', 'edu', 'com.py'])}"


def _phone(draw: random.Random) -> str:
    area, exchange, line = draw.choice(["212", "415", "713"]), draw.choice(["555", "346", "867"]), _digits(draw, 4)
    form = (
        draw.choice(re.split(r" \| |\n", _PHONES.strip()))
        .replace("AREA", area)
        .replace("EXC", exchange)
        .replace("LINE", line)
    )
    return re.sub("#+", lambda run: _digits(draw, len(run[0])), form)


_PHONES = """
+1 AREA EXC LINE | +1-AREA-EXC-LINE | +1 (AREA) EXC-LINE | +1AREAEXCLINE | (AREA) EXC-LINE | AREA-EXC-LINE
AREA.EXC.LINE | 1-AREA-EXC-LINE | +44 20 7### #### | +44 (0)20 7### #### | +447######### | 020 7### #### | 07### ######
+49 30 ######## | +49-89-####### | 030/####### | 0171 ####### | (089) ####### | +33 1 ## ## ## ## | 06 ## ## ## ##
01.##.##.##.## | +39 06 #### #### | +34 912 ### ### | +86 138 #### #### | +91 98### ##### | +31-20-#######
0044 20 7### #### | +353 1 ### ####
"""


def _ip(draw: random.Random) -> str:
    if draw.random() < 0.3:
        tail = [f"{draw.randint(1, 65535):x}" for _ in range(7)]
        head = draw.choice(["2a00", "2600", "2001", "2c0f"])
        return draw.choice(
            [":".join([head, *tail]), f"{head}:{tail[0]}::{tail[1]}", f"{head}:{tail[0]}:{tail[1]}::{tail[2]}"]
        )
    first = draw.choice([23, 45, 78, 93, 151, 185, 194, 212])
    return f"{first}.{draw.randint(0, 255)}.{draw.randint(0, 255)}.{draw.randint(1, 254)}"


_BANKS = {
    "DE": "18",
    "GB": "WEST14",
    "FR": "10A12",
    "NL": "ABNA10",
    "ES": "20",
    "IT": "X22",
    "AT": "16",
    "BE": "12",
    "CH": "17",
    "NO": "11",
    "PL": "24",
}
"""What an account number is made of: as many digits, or letters and digits."""


def _iban(draw: random.Random) -> str:
    country = draw.choice(sorted(_BANKS))
    account = re.sub(r"\d+", lambda m: _digits(draw, int(m[0])), _BANKS[country])
    number = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    iban = f"{country}{98 - int(number) % 97:02d}{account}"
    return " ".join(re.findall(".{1,4}", iban)) if draw.random() < 0.6 else iban


def _card(draw: random.Random) -> str:
    prefix, length = draw.choice(
        [("4", 16), ("52", 16), ("2500", 16), ("37", 15), ("6011", 16), ("36", 14), ("3550", 16)]
    )
    body = prefix + _digits(draw, length - 1 - len(prefix))
    card = body + _luhn(body)
    groups = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[length]
    mark, at, parts = draw.choice([" ", "-", ""]), 0, []
    for size in groups:
        parts.append(card[at : at + size])
        at += size
    return mark.join(parts)


def _luhn(body: str) -> str:
    total = 0
    for i, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if i % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


WRITTEN = [
    "Ann: {{phone:+44 20 7946 0958}}, Bo: {{phone:(415) 867-5309}}, both at {{email:office@firma24.de}}",
    "{{email:a@b.fr}}, {{email:c@d.fr}} and {{email:e@f.fr}}",
    "mail me: {{email:mailto:jo.public@anywhere.org}}",
    "Jo Public {{email:<jo.public@anywhere.org>}} wrote on 3 May 2011",
    "https://user:{{email:secret@git.anywhere.net}}/x",
    "{{email:o'brien@galway.ie}} lives there",
    "call {{phone:555 123 4567}} before noon, or dial {{phone:867-5309}}",
    "Telefon: {{phone:79 123 45 67}}",
    "Tel. {{phone:22 33 44 55}} (Oslo)",
    "my cell is {{phone:2125551234}} ok",
    "phone number: {{phone:912 345 678}}",
    "text me at {{phone:917-555-0123}} x44",
    "WhatsApp {{phone:+5511987654321}}",
    "int. {{phone:+420 222 333 444}}; int. {{phone:+358 40 123 4567}}",
    "fax +{{phone:49 30 1234567}}".replace("+{{phone:", "{{phone:+"),
    "ssh'd from {{ip:185.21.4.9}}, then from {{ip:2a02:8070:88::1f}}.",
    "A record {{ip:93.184.216.34}}:443",
    "{{iban:DE89 3704 0044 0532 0130 00}} and {{iban:GB82WEST12345698765432}} are the examples of the standard",
    "the old test card {{card:4111 1111 1111 1111}} and {{card:378282246310005}}",
    # forms that no rule promises to find
    "jo dot public at {{email:jo(at)anywhere.org}}",
    "her number is {{phone:5551234}}",
    "Ring {{phone:oh one seven one, 4567}}",
    "the server ({{ip:8.8.4.4}})",
    "IBAN {{iban:de89370400440532013000}}",
    "card {{card:4111.1111.1111.1111}}",
    "number {{phone:22 33 44 55}}, ask for Per",
]

_DECOYS = """
@app.route("/") above def index(): | import foo@1.2.3 | the icon@2x.png of the button
getty@tty1.service was started | git clone git@github.com:org/repo.git | scp a.txt host:/tmp and user@localhost
ann@example.org is in every manual | root@server:~# ls | x @ y.T is a product of matrices
meet @ noon.Bring cake | someone@example.com, someone.else@test.example | pkg:npm/%40angular/core@12.3.1
@media print {} | Twitter: @someone.else | a@b | foo@bar.c | matrix @user:server says | version 1.2.3.4 is out
v10.0.19041.1 | Chrome/93.0.4577.63 Safari | libfoo-1.2.3.4.tar.gz | see section 12.4.3.1 below
OID 1.3.6.1.4.1.311 | bind to 127.0.0.1 or 0.0.0.0 | the router is 192.168.1.1 | 10.11.12.13 is private
172.16.5.4 too | documentation uses 203.0.113.7 and 198.51.100.23 | mask 255.255.255.0
224.0.0.251 is multicast | 300.1.2.3 is none | kernel 4.19.0.21 | >= 12.3.4.5 | 2.4.71.1
12.1.3.2 Adding a section | release 23.45.1.2 of it | 1.2.3.4 | 169.254.17.3 | at 12:34:56 sharp
00:1a:2b:3c:4d:5e is a MAC | std::vector and fe::add | ::1 and fe80::1 | 2001:db8::1 | 2003:12:14 is EXIF
a[2000::3] | ratio 2000:1 | dead::beef | 10:20:30:40 | ff02::fb | 2021-11-05T10:11:12
urn:oid:2.16.840.1.113883 | born 12.05.1987, died 03/04/2011 | 2011-04-03 10:11 | 01-02-2003 | 05.06.2007 08:09
from 1914-1918 to 1939-1945 | 1 2 3 4 5 6 7 8 | ISBN 0-306-40615-2 | ISBN 978-3-16-148410-0
ISBN-10: 0 19 853453 1 | ISSN 2049-3630 | doi:10.1000/182 | arXiv:2107.06499 | sum 1234567 + 7654321
100 000 000 people | 1,234,567,890 | 3.14159265358979 | 6.02214076e23 | -273.15 | 0.0123456789
2147483647 is INT_MAX | 0x00ff00ff00ff | 4294967295 | port 65535 | pages 345-352 | pp. 1234-1245 | $1,299.99
15 000 EUR | RFC 2606 and RFC 6761 | bug 1234567 | order 2011-4567-89 | ticket #555-1234 | part no. 030-1234567
model 415-867-5309 | UTC+0200 | GMT +05:30 | 52.520008, 13.404954 | 52 31 12 N 13 24 18 E | scores 21-14 21-19
7-6 6-4 6-3 | room 212-415 | 550e8400-e29b-41d4-a716-446655440000 | d41d8cd98f00b204e9800998ecf8427e
9f86d081884c7d65 | sha 1234567890 | id 4155551234567 | DE89 3704 0044 0532 0130 01 | GB82 WEST 1234 5698 7654 33
XX89 3704 0044 0532 0130 00 | DE12 | NO93 8601 1117 948 | FR76 3000 | 4111 1111 1111 1112 | 1234 5678 9012 3456
4111 1111 1111 | 9999 9999 9999 9995 | 0000 0000 0000 0000 | 4.111111111111111 | 1700000000000000 us
20240101123456 | 1609459200 | 1609459200000 | 3782 822463 10006 | 5500 0000 0000 0005 1 | #4111111111111111
10 20 30 40 50 60 70 80 | 0123 0456 0789 0123 0456 | 200 300 4000 | 555 123 4567 units | 12 345 678
0000020 042012 020040 | @@ -1234,67 +1234,67 @@ | +1234 lines | C++11 and C++17 | 1e+10 | a+1234567890 | 2^31-1
5+5 | x+30 12345678y | 7 500 000 of 12 500 000 | 24/7/365 | 9-11 | 1/2 cup and 3/4 cup | 09 30 to 10 30
1995-96 and 1996-97 | call 1000000 times | the years 1999 2000 2001 2002 | Luke 10:25-37; Mark 12:28-31
16:9 and 4:3 | 80x24 | 1920x1080 | 44.1 kHz | 0 1 1 2 3 5 8 13 21 34 | serial 0171 2345678 | EAN 4006381333931
VIN 1M8GDM9AXKP042788 | 0.1.2.3 | 001 002 003 004 | ab12-cd34-ef56 | 01 Jan 2001 02:03
"""
DECOYS = [part.strip() for line in _DECOYS.strip().split("\n") for part in line.split(" | ")]


def _drawn_decoys(draw: random.Random) -> list[str]:
    """Numbers in the shapes of facts that break the rule of their kind, and plain ones."""
    made = []
    for _ in range(20):
        wrong = _card(draw)
        last = str((int(wrong[-1]) + draw.randint(1, 9)) % 10)
        made += [
            f"number {wrong[:-1]}{last} of the series",
            f"{draw.randint(1, 28):02d}.{draw.randint(1, 12):02d}.{draw.randint(1900, 2030)} {draw.randint(10, 23)}:05",
            f"table {' '.join(_digits(draw, draw.randint(2, 5)) for _ in range(9))}",
            f"{draw.randint(1, 12)}.{draw.randint(0, 99)}.{draw.randint(0, 99)} of the library",
            f"total {draw.randint(10**9, 10**12):,} and {draw.random() * 10**6:.6f}",
            f"host 10.{draw.randint(0, 255)}.{draw.randint(0, 255)}.{draw.randint(1, 254)}",
        ]
    return made
