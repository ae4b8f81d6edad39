// Measures a page in a browser and says what it found as JSON: figures.mjs BROWSER FILE.
// A task is as long as the processor works at it for the page, by the browser's own trace:
// so what else the machine does counts for little. Each figure is the median of five, and
// longest the longest task of the median round; PYRR_PAGE_TOOLS is where the npm packages are.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(join(process.env.PYRR_PAGE_TOOLS, "package.json"))("playwright-core");
const [executablePath, file] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const rounds = [];
for (let i = 0; i < 5; i++) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
  const cdp = await page.context().newCDPSession(page);
  let events = [];
  cdp.on("Tracing.dataCollected", (d) => events.push(...d.value));
  const drawn = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

  /** Does something and returns the tasks of the page's main thread meanwhile, in ms of processor time. */
  const tasks = async (f) => {
    events = [];
    await cdp.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["disabled-by-default-devtools.timeline", "toplevel"], recordMode: "recordAsMuchAsPossible" } });
    await f();
    const ended = new Promise((done) => cdp.once("Tracing.tracingComplete", done));
    await cdp.send("Tracing.end");
    await ended;
    // Several processes have such a thread; the page's is the busiest.
    const threads = new Map(events.filter((e) => e.name === "thread_name" && e.args.name === "CrRendererMain").map((e) => [`${e.pid}.${e.tid}`, []]));
    for (const e of events) if (e.name === "RunTask" && e.tdur !== undefined) threads.get(`${e.pid}.${e.tid}`)?.push(e.tdur / 1000);
    const sum = (list) => list.reduce((a, b) => a + b, 0);
    const list = [...threads.values()].sort((a, b) => sum(b) - sum(a))[0] ?? [];
    if (!list.length) throw new Error("the browser's trace has no tasks");
    return { sum: sum(list), longest: Math.max(...list) };
  };
  const each = async (n, f) => {
    const t = await tasks(async () => { for (let k = 0; k < n; k++) { await f(k); await drawn(); } });
    return { one: t.sum / n, longest: t.longest };
  };
  const open = await tasks(async () => {
    await page.goto(pathToFileURL(resolve(file)).href);
    await page.waitForFunction(() => document.documentElement.dataset.ready, null, { timeout: 120000 });
  });
  const opened = Number(await page.evaluate(() => document.documentElement.dataset.ready));
  await page.waitForFunction(() => /\d events/.test(document.querySelector(".events .status").textContent), null, { timeout: 120000 });
  await drawn(); // what comes after the first picture is no part of scrolling
  const scroll = await each(40, (k) => page.evaluate((k) => { const b = document.querySelector(".events .vl"); b.scrollTop = (b.scrollHeight * k) / 40 + k * b.clientHeight; }, k));
  await page.focus(".tl-box");
  await page.keyboard.press("0");
  const zoom = await each(20, (k) => page.keyboard.press(k % 2 ? "-" : "+"));
  const pan = await each(20, (k) => page.keyboard.press(k % 4 < 2 ? "ArrowLeft" : "PageUp"));
  const axis = await each(4, (k) => page.evaluate((v) => document.querySelector(`input[value=${v}]`).click(), k % 2 ? "time" : "instr"));
  await page.keyboard.press("/");
  const search = await tasks(async () => {
    await page.keyboard.type("nonesuch");
    await page.waitForFunction(() => /match/.test(document.querySelector(".events .status").textContent), null, { timeout: 60000 });
    await drawn();
  });
  rounds.push({ opened, work: open.sum, scroll: scroll.one, scrollLongest: scroll.longest, zoom: zoom.one, zoomLongest: zoom.longest, pan: pan.one, panLongest: pan.longest,
    axis: axis.one, axisLongest: axis.longest, search: search.sum, searchLongest: search.longest });
  await page.context().close();
}
await browser.close();
const median = (name) => rounds.map((r) => r[name]).sort((a, b) => a - b)[2];
console.log(JSON.stringify(Object.fromEntries(Object.keys(rounds[0]).map((k) => [k, Math.round(median(k) * 10) / 10]))));
