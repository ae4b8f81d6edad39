#!/usr/bin/env python3
"""Makes a wheel that carries the binary, so that pip can install it, and the plugin
that pytest finds by its entry point and that does nothing unless asked.

Usage: wheel.py VERSION BINARY FOLDER [PLATFORM]

PLATFORM is what BINARY was built for, as Go has it: linux/amd64, which records, or one
of the others, where pyrr reads recordings that were made elsewhere.

The distribution is called pyrr-replay, as pyrr is another project's on PyPI;
the command is pyrr. The binary is static and depends on no libc, hence the tags
(PEP 600, PEP 656). The file is the same for the same input.
"""
import base64
import hashlib
import os
import sys
import time
import zipfile

NAME = "pyrr_replay"
# Go 1.26 wants macOS 12.
TAGS = {
    "linux/amd64": ["manylinux_2_17_x86_64", "manylinux2014_x86_64", "musllinux_1_1_x86_64"],
    "linux/arm64": ["manylinux_2_17_aarch64", "manylinux2014_aarch64", "musllinux_1_1_aarch64"],
    "darwin/amd64": ["macosx_12_0_x86_64"],
    "darwin/arm64": ["macosx_12_0_arm64"],
    "windows/amd64": ["win_amd64"],
}
RECORDS = "linux/amd64"


def main(version, binary, folder, platform=RECORDS):
    tags = TAGS[platform]
    system = {"linux": "POSIX :: Linux", "darwin": "MacOS", "windows": "Microsoft :: Windows"}[platform.split("/")[0]]
    summary = "Record a run of a Python program and replay it exactly" if platform == RECORDS else "Read recordings of Python programs, made by pyrr on Linux"
    program_name = "pyrr.exe" if platform.startswith("windows") else "pyrr"
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))
    date = time.gmtime(max(epoch, 315532800))[:6]  # a zip file begins in 1980
    info = f"{NAME}-{version}.dist-info"
    with open("README.md", encoding="utf-8") as f:
        readme = f.read()
    with open("LICENSE", "rb") as f:
        license = f.read()
    with open(binary, "rb") as f:
        program = f.read()
    with open("go.mod", encoding="utf-8") as f:
        module = f.readline().split()[1]
    # A module without a host is nowhere to be found yet.
    home = f"Project-URL: Source, https://{module}\n" if "/" in module else ""
    metadata = f"""Metadata-Version: 2.1
Name: pyrr-replay
Version: {version}
Summary: {summary}
{home}License: Apache-2.0
Keywords: debugging,record,replay,pytest,timeout
Requires-Python: >=3.8
Classifier: Framework :: Pytest
Classifier: Operating System :: {system}
Classifier: Topic :: Software Development :: Debuggers
Classifier: Topic :: Software Development :: Testing
Description-Content-Type: text/markdown

{readme}"""
    wheel = "Wheel-Version: 1.0\nGenerator: pyrr\nRoot-Is-Purelib: false\n" + "".join(f"Tag: py3-none-{t}\n" for t in tags)
    plugin = os.path.join("capture", "pytest", "wheel")
    with open(os.path.join("capture", "pytest", "pyrr_interrupt.py"), "rb") as f:
        files = [("pyrr_replay/pyrr_interrupt.py", f.read(), 0o644)]
    for name in sorted(os.listdir(os.path.join(plugin, "pyrr_replay"))):
        if name.endswith(".py"):
            with open(os.path.join(plugin, "pyrr_replay", name), "rb") as f:
                files.append((f"pyrr_replay/{name}", f.read(), 0o644))
    files += [
        (f"{NAME}-{version}.data/scripts/{program_name}", program, 0o755),
        (f"{info}/METADATA", metadata.encode(), 0o644),
        (f"{info}/entry_points.txt", b"[pytest11]\npyrr = pyrr_replay.pytest_plugin\n", 0o644),
        (f"{info}/WHEEL", wheel.encode(), 0o644),
        (f"{info}/licenses/LICENSE", license, 0o644),
    ]
    record = ""
    for name, data, _ in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\n"
    files.append((f"{info}/RECORD", (record + f"{info}/RECORD,,\n").encode(), 0o644))

    path = os.path.join(folder, f"{NAME}-{version}-py3-none-{'.'.join(tags)}.whl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data, mode in files:
            entry = zipfile.ZipInfo(name, date)
            entry.create_system = 3
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, data, compresslevel=1 if os.environ.get("PYRR_PACK_FAST") else 9)
    print(path, file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
