#!/usr/bin/env python3
"""Makes the files of a release that speak of its packages: the bill of materials
without what differs from build to build, the Homebrew formula with the archive's
checksum, and an in-toto statement with the predicate of SLSA (slsa.dev/provenance/v1)
that says of which source and by which compiler each file was made.

Usage: statement.py FOLDER SBOM, with VERSION, MODULE, COMMIT, GO_VERSION,
SOURCE_DATE_EPOCH and PYRR_BUILDER in the environment. The statement is not signed
here: who publishes does that (.github/workflows/release.yml).
"""
import hashlib
import json
import os
import sys
import time


def main(folder, sbom):
    env = os.environ
    version, module = env["VERSION"], env["MODULE"]
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(env["SOURCE_DATE_EPOCH"])))
    # A module without a host is nowhere to be found yet.
    home = "https://" + module if "/" in module else ""

    with open(sbom, encoding="utf-8") as f:
        bill = json.load(f)
    bill["metadata"]["timestamp"] = date
    for tool in bill["metadata"]["tools"]:
        tool.pop("hashes", None)  # of the tool as it was compiled here
    write(folder, "pyrr-%s.cdx.json" % version, json.dumps(bill, indent=2, ensure_ascii=False) + "\n")

    archive = "pyrr-%s-linux-amd64.tar.gz" % version
    with open("packaging/homebrew/pyrr.rb.in", encoding="utf-8") as f:
        formula = f.read()
    for name, value in (("VERSION", version), ("HOME", home or "https://localhost/pyrr"), ("SHA256", digest(folder, archive))):
        formula = formula.replace("@%s@" % name, value)
    write(folder, "pyrr.rb", formula)

    source = {"uri": "git+%s@refs/tags/v%s" % (home or "file:.", version), "digest": {"gitCommit": env["COMMIT"]}}
    subjects = [{"name": name, "digest": {"sha256": digest(folder, name)}}
                for name in sorted(os.listdir(folder)) if name.startswith("pyrr")]
    write(folder, "pyrr-%s.provenance.json" % version, json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": (home or "file:.") + "/blob/main/scripts/release.sh",
                "externalParameters": {"version": version},
                "internalParameters": {"sourceDateEpoch": int(env["SOURCE_DATE_EPOCH"])},
                "resolvedDependencies": [source, {"uri": "pkg:golang/toolchain@" + env["GO_VERSION"]}],
            },
            "runDetails": {"builder": {"id": env.get("PYRR_BUILDER") or "local"}},
        },
    }, indent=2) + "\n")


def digest(folder, name):
    with open(os.path.join(folder, name), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
