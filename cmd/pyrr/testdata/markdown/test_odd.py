"""Tests that hang or fail and whose names, messages, threads, files and lines hold what
means something in Markdown, in HTML or to GitHub."""
import threading

import pytest

# Each of these fits into a name, and into the line that a summary has for a message.
ODD = [
    "@octocat, @org/team: #12, org/shop#34, GH-56 `a``b` **b** _em_ ~~s~~ <img src=x onerror=alert(1)></code></details><h1>$x^2$",
    "https://evil.example/x?a=b|c www.evil.example [x](https://evil.example) ![y](https://evil.example/y.png) ``` :tada: <!-- größe 日本語 🐍 \u202eabc\x1b[31mred "
    + "x" * 600 + " " + "/very/long/path" * 30,
]


@pytest.mark.parametrize("text", ODD, ids=[text[:120] for text in ODD])
def test_message(text):
    raise ValueError(text + "\n```\n| a | b |\n|---|---|\n# head")


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


def test_file_and_class_without_message():
    source = "\n\ndef f_" + "long_" * 40 + "(wrong):\n    raise wrong\n"
    made = {}
    exec(compile(source, "/tmp/@octocat/[a](https://evil.example)/<img src=x>`|`/" + "deep/" * 50 + "a.py", "exec"), made)
    made["f_" + "long_" * 40](type("<b>@octocat`|`</b>[x](//evil)", (Exception,), {}))
