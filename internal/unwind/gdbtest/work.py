"""Works in C: the extension modules of the standard library, sqlite, OpenSSL, libc.

A timer interrupts it at arbitrary points. Ends after about the given number of seconds.
"""
import array
import binascii
import bz2
import collections
import csv
import datetime
import decimal
import hashlib
import heapq
import io
import itertools
import json
import lzma
import math
import os
import pickle
import random
import re
import signal
import socket
import sqlite3
import ssl
import struct
import sys
import time
import unicodedata
import xml.etree.ElementTree
import zlib

rng = random.Random(5)
text = " ".join("word%d" % rng.randrange(1000) for _ in range(3000))
rows = [(i, rng.random(), "name %d" % i) for i in range(400)]


def sqlite():
    db = sqlite3.connect(":memory:")
    db.create_function("twice", 1, lambda x: x * 2)
    db.execute("create table t (a integer primary key, b real, c text)")
    db.executemany("insert into t values (?, ?, ?)", rows)
    db.execute("select twice(b), count(*) from t group by c order by c limit 50").fetchall()
    db.execute("select x.a from t x, t y where x.b < y.b and x.a % 17 = 3").fetchall()
    db.close()


def openssl():
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 3000)
    hashlib.scrypt(b"password", salt=b"salt", n=256, r=8, p=1)
    ctx = ssl.create_default_context()
    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        ctx.wrap_bio(a, b, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    hashlib.sha512(text.encode() * 20).hexdigest()


def compress():
    data = text.encode()
    zlib.decompress(zlib.compress(data, 9))
    bz2.decompress(bz2.compress(data))
    lzma.decompress(lzma.compress(data, preset=2))
    binascii.crc32(data)


def encode():
    value = {"rows": rows, "text": text[:500]}
    json.loads(json.dumps(value))
    pickle.loads(pickle.dumps(value))
    csv.writer(io.StringIO()).writerows(rows)
    list(csv.reader(io.StringIO(text)))
    struct.pack("<400d", *[r[1] for r in rows])


def match():
    re.findall(r"(\w+?)(\d+)\s", text)
    re.sub(r"w(o)rd", lambda m: m.group(1).upper(), text)
    unicodedata.normalize("NFKD", "é" * 2000)


def order():
    sorted(rows, key=lambda r: r[1])
    sorted(rows, key=lambda r: (r[2], -r[0]))
    heap = []
    for r in rows:
        heapq.heappush(heap, r[1])
    collections.Counter(text).most_common()
    list(itertools.permutations(range(5)))
    max(map(lambda r: math.sin(r[1]), rows))
    array.array("d", [r[1] for r in rows]).tobytes()


def calls():
    for name in ("localhost", "127.0.0.1"):
        socket.getaddrinfo(name, 80)
    for entry in os.scandir("/usr/lib"):
        entry.stat(follow_symlinks=False)
    time.strftime("%c", time.localtime(0))
    datetime.datetime.strptime("2024-05-06", "%Y-%m-%d").isoformat()
    (decimal.Decimal(2) ** decimal.Decimal("0.5")).sqrt()
    xml.etree.ElementTree.fromstring("<a>" + "<b c='d'>e</b>" * 300 + "</a>")
    pow(3, 100003, 10**300 + 7)
    str(7**3000)


def main():
    end = time.monotonic() + float(sys.argv[1])
    if float(sys.argv[2]):
        signal.setitimer(signal.ITIMER_PROF, 0.011, float(sys.argv[2]))
    while time.monotonic() < end:
        for part in (sqlite, openssl, compress, encode, match, order, calls):
            part()


main()
