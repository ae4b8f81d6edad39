#!/usr/bin/env bash
# Measures what the page about a recording costs: `make page-figures`. Records five threads
# that make more than 200,000 calls, writes its page five times and opens it in Chromium
# five times. The medians go to bench/page.md and into docs/performance.md; with the
# argument show they are only printed. For a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh
tools=$(./page.sh)
cd ..
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || { say "needs Chromium"; exit 1; }
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
CGO_ENABLED=0 go build -trimpath -o "$dir/pyrr" ./cmd/pyrr
cat >"$dir/many.py" <<'P'
import os, threading
lock = threading.Lock()
def work(n):
    for i in range(42_500):
        os.stat("/")
        if i % 500 == 0:
            with lock:
                print("thread", n, "has made", i, flush=True)
            try:
                os.stat("/nonesuch")
            except FileNotFoundError:
                pass
threads = [threading.Thread(target=work, args=(n,), name=f"worker {n}") for n in range(5)]
for t in threads: t.start()
for t in threads: t.join()
raise SystemExit(1)
P
(cd "$dir" && ./pyrr record -o many.pyrr.zip python3 -I many.py >/dev/null 2>&1) || true
for i in 1 2 3 4 5; do
  /usr/bin/env python3 - "$dir" >>"$dir/written" <<'P'
import os, subprocess, sys, time
os.chdir(sys.argv[1]); before = time.time()
subprocess.run(["./pyrr", "report", "--variables", "always", "-o", "many.html", "many.pyrr.zip"], check=True, stderr=subprocess.DEVNULL)
wall, u = time.time() - before, os.times()
print(wall, u.children_user + u.children_system)
P
done
PYRR_PAGE_TOOLS=$tools node internal/page/web/test/figures.mjs "$browser" "$dir/many.html" >"$dir/opened"
events=$("$dir/pyrr" info --json "$dir/many.pyrr.zip" | python3 -c 'import json, sys; print(json.load(sys.stdin)["events"])')
python3 - "$dir" "$events" "$(nproc)" "$(cut -d' ' -f1 /proc/loadavg)" "${1-}" <<'P'
import json, os, re, statistics, sys
dir, events, cpus, load, show = sys.argv[1:]
written = [tuple(map(float, l.split())) for l in open(dir + "/written")]
wall, cpu = (statistics.median(c) for c in zip(*written))
o = json.load(open(dir + "/opened"))
row = lambda name, key: f"| {name} | {o[key]:.0f} ms; the longest task {o[key + 'Longest']:.0f} ms | no task above 50 ms |"
text = f"""
## The page about a recording

Written by `make page-figures`: of the last 200,000 of the {int(events):,} events of five threads, in Debian's
Chromium, on {cpus} processors, at a load of {load} afterwards. Medians of five; ms are those that
the processor worked for the page, which that load does not make more, s those of the clock where nothing else is said.

| | | to reach |
|---|---|---|
| written, with variables and exceptions | {wall:.1f} s; {cpu:.1f} s of processor time | ≤ 5 s |
| size | {os.path.getsize(dir + "/many.html") / 1e6:.1f} MB | ≤ 8 MB |
| opened, from the click to the picture | {o["opened"] / 1000:.2f} s; {o["work"] / 1000:.2f} s of the page's processor time | ≤ 2 s |
{row("the list scrolled by a fortieth of it", "scroll")}
{row("the timeline zoomed, all of it in view", "zoom")}
{row("along a thread, and half a screen back", "pan")}
{row("between time and instructions", "axis")}
{row("a word searched in all", "search")}
"""
print(text)
if show != "show":
    open("bench/page.md", "w").write(text)
    doc = open("docs/performance.md").read()
    new = re.sub(r"\n## The page about a recording\n.*?(?=\n## )", lambda _: text, doc, flags=re.S)
    assert new.count("## The page about a recording") == 1
    open("docs/performance.md", "w").write(new)
P
