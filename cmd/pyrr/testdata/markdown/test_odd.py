"""Tests that hang or fail and whose names, messages, threads, files and lines hold what
means something in Markdown, in HTML or to GitHub."""
import threading

import pytest

ODD = {
    "mention": "@octocat, @org/team: see #12, org/shop#34 and GH-56",
    "link": "https://evil.example/x?a=b|c and www.evil.example, [x](https://evil.example) ![y](https://evil.example/y.png)",
    "html": "<img src=x onerror=alert(1)></code></pre></details><h1>big</h1><!-- <b>",
    "ticks": "```\n`a``b` **bold** _em_ ~~s~~ $x^2$ :tada: | a | b |\n|---|---|\n# head",
    "words": "größe 日本語 данные 🐍 " + "\u202e" + "abc\x1b[31mred",
    "long": "x" * 600 + " " + "/very/long/path" * 30,
}


@pytest.mark.parametrize("text", ODD.values(), ids=[v.replace("\n", " ")[:120] for v in ODD.values()])
def test_message(text):
    raise ValueError(text)


@pytest.mark.parametrize("text", ["@octocat <b>`|` https://evil.example"])
def test_hang(text):
    lock = {text: threading.Lock()}  # @octocat <b>`|` https://evil.example ``` </details> [x](https://evil.example) and more of a line that is long enough to be wider than any column
    lock[text].acquire()

    def größe_日本語():
        with lock[text]:
            pass

    thread = threading.Thread(target=größe_日本語, name="`@octocat` <i>#1</i> ``` www.evil.example", daemon=True)
    thread.start()
    thread.join()


def test_file_and_class():
    source = "\n\ndef f_" + "long_" * 40 + "(wrong):\n    raise wrong('@octocat')\n"
    made = {}
    exec(compile(source, "/tmp/@octocat/[a](https://evil.example)/<img src=x>`|`/" + "deep/" * 50 + "a.py", "exec"), made)
    made["f_" + "long_" * 40](type("<b>@octocat`|`</b>[x](https://evil.example)", (Exception,), {}))


def test_empty_message():
    raise RuntimeError
