// Opens pages in a real browser and says what it finds, as JSON: browser.mjs PLAN,
// where PLAN is a file with {browser, pages: [{name, file, shots: [{out, width, dark}],
// finds: [{clicks, want}]: what is in sight after some clicks, hostile}],
// live: what pyrr serve shows, by its address}.
// PYRR_PAGE_TOOLS is where the npm packages are.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.PYRR_PAGE_TOOLS, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const browser = await chromium.launch({ executablePath: plan.browser, args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"] });
const report = [];

/** Opens a page in a tab of its own; what it says on the console, asks of anybody or throws is noted. */
async function open(url, width, dark, found, ready) {
  const page = await (await browser.newContext({ reducedMotion: "reduce" })).newPage();
  page.on("console", (m) => { if (["error", "warning"].includes(m.type())) found.problems.push(`console: ${m.text()}`); });
  page.on("pageerror", (e) => found.problems.push(`error: ${e.message}`));
  page.on("request", (r) => { if (!["file:", "data:"].some((s) => r.url().startsWith(s)) && !(plan.live && r.url().startsWith(new URL(plan.live.url).origin + "/"))) found.problems.push(`request: ${r.url()}`); });
  await look(page, url, width, dark, ready);
  return page;
}

/** Opens a page anew in a tab. */
async function look(page, url, width, dark, ready = () => document.documentElement.dataset.ready) {
  await page.goto("about:blank"); // else another hash would open nothing
  await page.setViewportSize({ width, height: width > 600 ? 900 : 844 });
  await page.emulateMedia({ colorScheme: dark ? "dark" : "light", media: "screen" });
  await page.goto(url);
  await page.waitForFunction(ready, null, { timeout: 120000 });
}

/** Waits until what was done is drawn. */
const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** Puts what differs from run to run and breaks lines elsewhere into one form, for pictures. */
function steady() {
  const walk = document.createTreeWalker(document.querySelector(".reason"), NodeFilter.SHOW_TEXT);
  for (let n = walk.nextNode(); n; n = walk.nextNode()) {
    n.data = n.data.replace(/pid \d+/g, "pid 4711").replace(/\d+\.\d+ s\b/g, "1.234 s").replace(/\d{1,3}(,\d{3})+/g, "12,345").replace(/Linux .*/, "Linux 6.1.0, x86-64");
  }
}

async function picture(page, shot) {
  await page.evaluate(steady);
  await drawn(page);
  await page.screenshot({ path: shot.out, type: "jpeg", quality: 62 });
}

const focus = (page) => page.evaluate(() => ({
  hash: location.hash, moment: document.querySelector(".moment")?.textContent ?? "", frame: document.querySelector(".frame[aria-current]")?.textContent ?? "",
  line: document.querySelector(".ln.here")?.textContent ?? "", vars: [...document.querySelectorAll(".locals .vars tr")].map((r) => r.textContent),
  events: document.querySelector(".events .status")?.textContent ?? "", here: document.querySelector(".evidence .current a")?.textContent ?? "",
}));

async function accessible(page, where, found) {
  if (!(await page.evaluate(() => !!window.axe))) await page.evaluate(axe);
  const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  for (const v of result.violations) found.problems.push(`axe, ${where}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join("; ")}`);
}

/** Whether a text is in sight of somebody who scrolls the page: shown, and not outside of a box that cuts it. */
function inSight(want) {
  const plain = (s) => s.replace(/\s+/g, " ");
  for (const e of document.querySelectorAll("body *")) {
    if (!plain(e.textContent).includes(want) || [...e.children].some((c) => plain(c.textContent).includes(want))) continue;
    const r = e.getBoundingClientRect();
    if (!e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || r.width < 2 || r.height < 2) continue;
    let seen = true;
    for (let box = e.parentElement; box && box !== document.body; box = box.parentElement) {
      const b = box.getBoundingClientRect();
      if (getComputedStyle(box).overflowY !== "visible" && (r.top + 4 > b.bottom || r.bottom - 4 < b.top)) seen = false;
    }
    if (seen) return true;
  }
  return false;
}

/** What somebody finds who clicks so often on the page as it opens, or not at all. */
async function finds(page, list, url, found) {
  found.finds ??= [];
  for (const f of list) {
    const clicks = f.clicks ?? [];
    if (clicks.length) await look(page, url, 1280, false);
    for (const c of clicks) await page.click(c, { timeout: 20000 }).catch((e) => found.problems.push(`nothing to click: ${e.message.split("\n")[0]} ${c}`));
    const seen = await page.waitForFunction(inSight, f.want, { timeout: 30000 }).then(() => true, () => false);
    found.finds.push({ want: f.want, clicks: clicks.length, seen });
  }
}

/** Uses all of a page that a stranger's program made; how long the slowest step took is noted, in ms. */
async function hostile(page, url, found) {
  let slowest = 0;
  const step = async (f) => {
    const from = Date.now();
    await f();
    await drawn(page);
    slowest = Math.max(slowest, Date.now() - from);
  };
  found.tabs = {};
  for (const id of await page.evaluate(() => [...document.querySelectorAll("[role=tab]")].map((e) => e.id))) {
    await step(() => page.click(`#${id}`));
    found.tabs[id] = await page.evaluate((id) => document.getElementById(document.getElementById(id).getAttribute("aria-controls")).textContent.slice(0, 100000), id);
    await accessible(page, id, found);
  }
  await page.focus(".tl-box");
  for (const key of ["ArrowDown", "ArrowDown", "ArrowUp", "End", "ArrowLeft", "Home", "+", "0", "PageDown"]) await step(() => page.keyboard.press(key));
  await step(() => page.evaluate(() => { const b = document.querySelector(".tl-box"); b.scrollTop = b.scrollHeight; }));
  await page.click("#tab-events");
  await step(() => page.evaluate(() => { const b = document.querySelector(".events .vl"); b.scrollTop = b.scrollHeight / 2; }));
  await page.keyboard.press("/");
  await step(() => page.keyboard.type("script"));
  await page.waitForFunction(() => /match/.test(document.querySelector(".events .status").textContent), null, { timeout: 60000 });
  found.slowest = slowest;
  found.printed = await page.evaluate(() => document.querySelector("#why").textContent);
  found.scripts = await page.evaluate(() => ({ alert: window.pwned ?? null, injected: document.querySelectorAll("img, iframe, object, embed, body script:not(:last-of-type)").length,
    raw: /[\u202a-\u202e\u2066-\u2069\u0000-\u0008\u001b]/.test(document.body.textContent + document.title) }));
  for (const width of [360, 3840]) {
    await page.setViewportSize({ width, height: 900 });
    await drawn(page);
    found.wide = Math.max(found.wide ?? 0, (await page.evaluate(() => document.documentElement.scrollWidth)) - width);
  }
}

for (const p of plan.pages) {
  const found = { name: p.name, problems: [] };
  report.push(found);
  const url = pathToFileURL(p.file).href;
  const shots = p.shots ?? [], first = shots.find((s) => s.width === 1280), clicks = (f) => f.clicks?.length > 0;
  const page = await open(url, 1280, !!first?.dark, found);
  found.first = await focus(page);
  await accessible(page, first?.dark ? "dark" : "light", found);
  await finds(page, (p.finds ?? []).filter((f) => !clicks(f)), url, found);
  if (first) await picture(page, first);
  if (p.full) {
    // By keys alone: along the thread, to the search, and back in history.
    await page.focus(".tl-box");
    await page.keyboard.press("ArrowLeft");
    found.left = await focus(page);
    await page.keyboard.press("/");
    await page.keyboard.type(p.search);
    await page.waitForFunction(() => /match/.test(document.querySelector(".events .status").textContent), null, { timeout: 60000 });
    await drawn(page);
    found.searched = await focus(page);
    found.options = await page.evaluate(() => [...document.querySelectorAll(".events [role=option] .x")].map((e) => e.textContent));
    await page.keyboard.press("Escape");
    await page.click("#tab-output");
    found.output = await page.evaluate(() => [...document.querySelectorAll(".output [role=option] .x")].map((e) => e.textContent));
    await accessible(page, "output", found);
    await page.keyboard.press("?");
    await accessible(page, "help", found);
    await page.keyboard.press("Escape");
    // The address leads to the same focus.
    await look(page, url + found.left.hash, 1280, true);
    found.again = await focus(page);
    await accessible(page, "dark", found);
    found.scripts = await page.evaluate(() => ({ alert: window.pwned ?? null, injected: document.querySelectorAll("img, b reader, iframe").length }));
    await look(page, url, 360, false);
    found.wide = await page.evaluate(() => document.documentElement.scrollWidth);
    await accessible(page, "360 px", found);
    await page.emulateMedia({ media: "print" });
    found.printed = await page.evaluate(() => getComputedStyle(document.getElementById("plain")).display);
  }
  if (p.tabs) {
    found.tabs = {};
    for (const id of await page.evaluate(() => [...document.querySelectorAll("[role=tab]")].map((e) => e.id))) {
      await page.click(`#${id}`);
      found.tabs[id] = await page.evaluate((id) => document.getElementById(document.getElementById(id).getAttribute("aria-controls")).textContent, id);
      await accessible(page, id, found);
    }
    // An exception that was caught leads to its variables.
    await page.click("#tab-raises");
    await page.click(".raise button");
    found.left = await focus(page);
  }
  if (p.hostile) await hostile(page, url, found);
  await finds(page, (p.finds ?? []).filter(clicks), url, found);
  for (const s of shots.filter((s) => s !== first)) {
    await look(page, url, s.width, s.dark);
    await picture(page, s);
  }
  await page.context().close();
}

/** pyrr serve: from the list to a recording, to a moment without variables, and a question. */
async function serve(live) {
  const found = { name: "serve", problems: [] };
  report.push(found);
  const page = await open(live.url, 1280, false, found, () => document.documentElement.dataset.sentences);
  found.address = page.url();
  found.list = await page.evaluate(() => [...document.querySelectorAll(".recording")].map((e) => e.textContent));
  await accessible(page, "the list", found);
  await page.click(`a:has-text("${live.link}")`);
  await page.waitForFunction(() => document.querySelector(".focus .frame"), null, { timeout: 120000 });
  // Back from the end to the user's first call without variables: what the file has none of.
  await page.focus(".tl-box");
  const vars = () => page.evaluate(() => document.querySelector(".locals").textContent);
  for (let i = 0; i < 40 && !/by a replay/.test(await vars()); i++) {
    await page.keyboard.press("ArrowLeft");
    await drawn(page);
    if (/Replaying/.test(await vars())) await page.waitForFunction(() => !/Replaying/.test(document.querySelector(".locals").textContent), null, { timeout: 120000 });
  }
  found.first = await focus(page);
  found.replayed = await vars();
  await page.click("#tab-ask");
  await page.locator(".ask-form input").nth(0).fill(live.place);
  await page.locator(".ask-form input").nth(1).fill(live.expressions);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".found li", { timeout: 120000 });
  found.printed = await page.evaluate(() => [...document.querySelectorAll(".found li")].map((e) => e.textContent).join("\n"));
  await page.click(".found .hit");
  await page.waitForFunction(() => /at instruction .* by a replay/.test(document.querySelector(".locals").textContent), null, { timeout: 120000 });
  found.left = await focus(page);
  await page.locator("[aria-label='Who set it?'] input").nth(0).fill(live.variable);
  await page.locator("[aria-label='Who set it?'] input").nth(1).fill(live.in);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => /moment|never|not/.test(document.querySelector(".ask .status").textContent), null, { timeout: 120000 });
  found.output = await page.evaluate(() => [document.querySelector(".ask .status").textContent, ...[...document.querySelectorAll(".found li")].map((e) => e.textContent)]);
  await accessible(page, "ask", found);
  found.scripts = await page.evaluate(() => ({ alert: window.pwned ?? null, injected: document.querySelectorAll("img, iframe").length }));
  // The address alone, in another tab, leads nowhere: the token is not in it.
  const other = await browser.newContext();
  const stranger = await other.newPage();
  await stranger.goto(page.url());
  await stranger.waitForFunction(() => /token/.test(document.body.textContent), null, { timeout: 60000 });
  found.stranger = await stranger.evaluate(() => document.body.textContent);
  await other.close();
  await page.setViewportSize({ width: 360, height: 800 });
  found.wide = await page.evaluate(() => document.documentElement.scrollWidth);
  await page.context().close();
}
if (plan.live) await serve(plan.live);
await browser.close();
console.log(JSON.stringify(report));
