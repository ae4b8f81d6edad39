"""Reads a recording, from what docs/format.md says alone, and prints its events
as JSON, one a line. usage: read.py RECORDING UNZSTD...

UNZSTD is a command that unpacks a zstd frame from its standard input. Nothing
here is shared with pyrr, so that the document has to be enough.
"""
import json
import os
import struct
import subprocess
import sys
import zipfile

FIELDS = ("Stop TID Instr PC RegSum Nr Args Ret Time EndTime In Readings Maps Child Regs XState Proc Why Text Mem Pauses OutSum").split()
OPTIONAL = {32: "Open"}
KINDS = ("start syscall enter exit switch signal insn write readings death end timeout note checksum fault thread").split()
REGS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs").split()
MASK = (1 << 64) - 1


class Damaged(Exception):
    pass


def castagnoli():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


TABLE = castagnoli()


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = c >> 8 ^ TABLE[(c ^ b) & 0xFF]
    return c ^ 0xFFFFFFFF


class Bytes:
    """What is left of a run of bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Damaged("too short")
        self.at += n
        return self.data[self.at - n:self.at]

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        value = shift = 0
        while True:
            b = self.byte()
            value |= (b & 0x7F) << shift
            if b < 0x80:
                return value & MASK
            shift += 7

    def svarint(self):
        n = self.varint()
        return n >> 1 ^ -(n & 1)

    def bytes(self):
        return self.take(self.varint())

    def done(self):
        return self.at == len(self.data)


def signed(n):
    n &= MASK
    return n - (1 << 64) if n >> 63 else n


def text(b):
    return b.decode("latin-1")  # any bytes


def process(b):
    p = {"ID": b.varint(), "PID": b.svarint(), "Parent": b.varint(), "ParentEvent": b.varint(), "Fork": b.byte() != 0}
    p["Exe"] = text(b.bytes())
    p["Argv"] = [text(b.bytes()) for _ in range(b.varint())]
    p["Env"] = [text(b.bytes()) for _ in range(b.varint())]
    p["Cwd"], p["Python"] = text(b.bytes()), text(b.bytes())
    p["Start"], p["Brk"], p["StackLimit"] = b.svarint(), b.varint(), b.varint()
    return p


def mappings(b):
    out, end = [], 0
    for _ in range(b.varint()):
        start = (end + b.svarint()) & MASK
        end = (start + b.svarint()) & MASK
        prot = b.varint()
        out.append([start, end, prot >> 1, bool(prot & 1), b.varint(), b.varint(), text(b.bytes())])
    return out


class Decoder:
    """Decodes the events of one chunk, of which each is the difference to one before."""

    def __init__(self):
        self.tid = self.instr = self.pc = self.time = 0
        self.regs = [0] * len(REGS)

    def head(self, data):
        """Returns an event and the address and length of each of its writes."""
        b = Bytes(data)
        kind, there = b.byte(), b.varint()
        known = 1 <= kind <= len(KINDS)
        if not known and kind < 128:
            raise Damaged("kind %d" % kind)
        ev, writes = {"Kind": KINDS[kind - 1] if known else "note"}, []
        if not known:
            return ev, None
        for n, name in enumerate(FIELDS):
            if there >> n & 1:
                self.field(ev, name, b, writes)
        if there >> len(FIELDS) & (1 << 32 - len(FIELDS)) - 1:
            raise Damaged("unknown fields")
        for n, name in OPTIONAL.items():
            if there >> n & 1:
                self.field(ev, name, b, writes)
        for key, value in (("TID", self.tid), ("Instr", self.instr), ("Time", self.time)):
            if value:
                ev[key] = value
        if "EndTime" in ev:
            ev["EndTime"] = signed(ev["EndTime"] + self.time)
        return ev, writes

    def field(self, ev, name, b, writes):
        if name == "TID":
            self.tid = (self.tid + b.svarint() + (1 << 31)) % (1 << 32) - (1 << 31)
        elif name == "Instr":
            self.instr = (self.instr + b.svarint()) & MASK
        elif name == "Time":
            self.time = signed(self.time + b.svarint())
        elif name == "PC":
            self.pc = (self.pc + b.svarint()) & MASK
            ev[name] = self.pc
        elif name == "Stop":
            ev[name] = b.byte()
        elif name == "Pauses":
            ev[name] = b.varint()
        elif name in ("RegSum", "OutSum"):
            ev[name] = struct.unpack("<I", b.take(4))[0]
        elif name in ("Nr", "Ret", "Child", "EndTime"):
            ev[name] = b.svarint()
        elif name == "Args":
            there = b.byte()
            ev[name] = [b.svarint() & MASK if there >> i & 1 else 0 for i in range(6)]
        elif name in ("In", "Readings", "XState"):
            ev[name] = b.bytes().hex()
        elif name in ("Why", "Text"):
            ev[name] = text(b.bytes())
        elif name == "Maps":
            ev[name] = mappings(b)
        elif name == "Regs":
            there = b.varint()
            for i in range(len(REGS)):
                if there >> i & 1:
                    self.regs[i] = (self.regs[i] + b.svarint()) & MASK
            ev[name] = dict(zip(REGS, self.regs))
        elif name == "Open":
            ev[name] = [[b.svarint(), b.varint(), text(b.bytes())] for _ in range(b.varint())]
        elif name == "Proc":
            ev[name] = process(b)
        elif name == "Mem":
            end = 0
            for _ in range(b.varint()):
                at = (end + b.svarint()) & MASK
                n = b.varint()
                end = (at + n) & MASK
                writes.append((at, n))


def chunks(data, number, unzstd):
    """Yields flags, first event, count and content of each whole chunk."""
    at = seq = 0
    while at + 64 <= len(data):
        head = data[at:at + 64]
        magic, version, flags, proc, n, first, count, length, packed, crc = struct.unpack("<4sHHIIQIIII", head[:40])
        if magic != b"PYRE" or version != 1 or proc != number or n != seq or struct.unpack("<I", head[60:])[0] != crc32c(head[:60]):
            raise Damaged("chunk %d" % seq)
        if at + 64 + packed > len(data):
            return  # what a killed recorder was writing
        raw = subprocess.run(unzstd, input=data[at + 64:at + 64 + packed], stdout=subprocess.PIPE, check=True).stdout
        if len(raw) != length or crc32c(raw) != crc:
            raise Damaged("content of chunk %d" % seq)
        yield flags, first, count, raw
        at += 64 + packed
        seq += 1


def events(data, number, unzstd):
    """Yields the events of a stream."""
    more, rest = 1, 2
    pending = None  # an event whose data goes on in the next chunk
    for flags, first, count, raw in chunks(data, number, unzstd):
        if pending:
            if not flags & rest:
                raise Damaged("an event does not go on")
            pending[2] += raw
            if not flags & more:
                yield finished(*pending)
                pending = None
            continue
        b, d = Bytes(raw), Decoder()
        for i in range(count):
            head, size = b.varint(), b.varint()
            ev, writes = d.head(b.take(head))
            if i == count - 1 and flags & more:
                pending = [ev, writes, b.take(len(raw) - b.at)]
                break
            yield finished(ev, writes, b.take(size))


def finished(ev, writes, data):
    """Gives an event the bytes of its writes."""
    mem, at = [], 0
    for addr, n in writes or []:
        mem.append([addr, data[at:at + n].hex()])
        at += n
    if mem:
        ev["Mem"] = mem
    return ev


def members(path):
    """Returns the streams of a recording, by their process."""
    if os.path.isdir(path):
        folder = os.path.join(path, "events")
        return {int(name): open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder)}
    with zipfile.ZipFile(path) as z:
        return {int(name[len("events/"):]): z.read(name) for name in z.namelist() if name.startswith("events/")}


def main():
    for number, data in sorted(members(sys.argv[1]).items()):
        for n, ev in enumerate(events(data, number, sys.argv[2:])):
            print(json.dumps({"process": number, "event": n, **ev}, sort_keys=True))


if __name__ == "__main__":
    main()
