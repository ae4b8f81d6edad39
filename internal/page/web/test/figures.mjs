// Measures a page in a browser and says what it found as JSON: figures.mjs BROWSER FILE.
// Each figure is the median of five; PYRR_PAGE_TOOLS is where the npm packages are.
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
  await cdp.send("Performance.enable");
  const busy = async () => 1000 * (await cdp.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration").value;
  await page.goto(pathToFileURL(resolve(file)).href);
  await page.waitForFunction(() => document.documentElement.dataset.ready, null, { timeout: 120000 });
  const r = { opened: Number(await page.evaluate(() => document.documentElement.dataset.ready)), work: await busy() };
  await page.waitForTimeout(1500); // what comes after the first picture is no part of scrolling
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((l) => { for (const e of l.getEntries()) window.longest = Math.max(window.longest, e.duration); }).observe({ type: "longtask" });
  });
  const frame = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const each = async (n, f) => {
    const from = await busy();
    for (let k = 0; k < n; k++) { await f(k); await frame(); }
    return ((await busy()) - from) / n;
  };
  r.scroll = await each(40, (k) => page.evaluate((k) => { const b = document.querySelector(".events .vl"); b.scrollTop = (b.scrollHeight * k) / 40 + k * b.clientHeight; }, k));
  r.scrolled = await page.evaluate(() => window.longest);
  await page.focus(".tl-box");
  await page.keyboard.press("0");
  r.zoom = await each(20, (k) => page.keyboard.press(k % 2 ? "-" : "+"));
  r.pan = await each(20, (k) => page.keyboard.press(k % 4 < 2 ? "ArrowLeft" : "PageUp"));
  r.longest = await page.evaluate(() => window.longest);
  rounds.push(r);
  await page.context().close();
}
await browser.close();
const median = (name) => rounds.map((r) => r[name]).sort((a, b) => a - b)[2];
console.log(JSON.stringify(Object.fromEntries(Object.keys(rounds[0]).map((k) => [k, Math.round(median(k) * 10) / 10]))));
