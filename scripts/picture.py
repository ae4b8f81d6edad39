#!/usr/bin/env python3
"""Makes docs/explain.svg: a terminal in which `pyrr explain` says why
fixtures/two_locks.py hangs. All that it shows was printed by the pyrr in bin/, on a
terminal of 80 columns; only the last lines are left out.

Usage: picture.py [FILE]     (default docs/explain.svg; - for the text alone)
"""
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from xml.sax.saxutils import escape

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = "two_locks.py"
RECORDING = "two_locks.pyrr.zip"
WIDTH, LINES = 80, 21  # columns; lines of explain that are shown
CELL, ROW = 8.43, 19  # of a character, in pixels, at 14 px
COLOURS = {"1": "font-weight:bold;fill:#fff", "2": "fill:#888", "31": "fill:#f66", "1;31": "font-weight:bold;fill:#f66",
           "32": "fill:#7c7", "33": "fill:#dc6", "36": "fill:#6cc"}


def terminal(argv, cwd):
    """Runs a command on a terminal of its own and returns what it printed."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.environ.update(TERM="xterm-256color", CI="")
        os.environ.pop("NO_COLOR", None)
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
        os.execv(argv[0], argv)
    out = b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not part:
            break
        out += part
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return out.decode().replace("\r\n", "\n"), os.waitstatus_to_exitcode(status)


def screen():
    """The lines of the picture, with their escape sequences."""
    pyrr = os.path.join(ROOT, "bin", "pyrr")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, PROGRAM)
        with open(os.path.join(ROOT, "fixtures", PROGRAM)) as f, open(program, "w") as w:
            w.write(f.read())
        done = subprocess.run([pyrr, "record", "--timeout", "3s", "-o", RECORDING, "--", "python3", PROGRAM], cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, env=dict(os.environ, CI=""))
        if done.returncode != 124:
            sys.exit("picture.py: the program was not ended by the time-out:\n" + done.stdout + done.stderr)
        text, status = terminal([pyrr, "explain", RECORDING], folder)
    if status:
        sys.exit("picture.py: explain ended with %d:\n%s" % (status, text))
    text = re.sub(r"[^\n]*\r\x1b\[K", "", text)  # the status line
    return ["\x1b[32m$\x1b[0m pyrr explain " + RECORDING] + text.split("\n")[:LINES]


def spans(line, style):
    """A line as text elements, each with its style and column, and the style at its end."""
    out, column = [], 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            style = COLOURS.get(part[2:-1], "")
        elif part:
            out.append((column, style, part))
            column += len(part)
    return out, style


def svg(lines):
    width, height = int(WIDTH * CELL + 40), ROW * len(lines) + 64
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">' % (width, height, width, height),
           "<title>pyrr explain names two threads that wait for each other's locks</title>",
           '<rect width="100%" height="100%" rx="8" fill="#1e1e2a"/>']
    out += ['<circle cx="%d" cy="20" r="6" fill="%s"/>' % (20 + 20 * n, c) for n, c in enumerate(("#f66", "#dc6", "#7c7"))]
    out.append('<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" font-size="14" fill="#d8d8e0" xml:space="preserve">')
    last = ""
    for n, line in enumerate(lines):
        elements, last = spans(line, last)
        for column, style, text in elements:
            out.append('<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>' % (
                20 + column * CELL, 56 + n * ROW, len(text) * CELL, ' style="%s"' % style if style else "", escape(text)))
    return "\n".join(out + ["</g>", "</svg>", ""])


def main(path=os.path.join(ROOT, "docs", "explain.svg")):
    lines = screen()
    if path == "-":
        print("\n".join(re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines))
        return
    with open(path, "w", encoding="utf-8") as f:
        f.write(svg(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
