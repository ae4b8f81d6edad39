// Shows Markdown as GitHub does and says what it finds, as JSON: markdown.mjs PLAN, where
// PLAN is a file with {browser, width, cmark: GitHub's own parser or "", links: what a link may begin
// with, texts: [{name, file, breaks: whether each line is one, as in comments, shot}]}.
// PYRR_PAGE_TOOLS is where the npm packages are.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.PYRR_PAGE_TOOLS, "package.json"));
const { chromium } = require("playwright-core");
const { marked } = await import(pathToFileURL(join(process.env.PYRR_PAGE_TOOLS, "node_modules/marked/lib/marked.esm.js")).href);
const style = readFileSync(require.resolve("github-markdown-css/github-markdown-light.css"), "utf8");
const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));

/** The two that make HTML of it. */
const parsers = { marked: (text, breaks) => marked.parse(text, { gfm: true, breaks }) };
if (plan.cmark) {
  const extensions = ["table", "strikethrough", "autolink", "tagfilter", "tasklist"].flatMap((e) => ["-e", e]);
  parsers.cmark = (text, breaks) => execFileSync(plan.cmark, ["--unsafe", ...extensions, ...(breaks ? ["--hardbreaks"] : [])], { input: text, encoding: "utf8" });
}

/** What is wrong with a text as it stands on the page. */
function wrong(links) {
  const bad = [], wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) bad.push(`the page is ${wide} px too wide`);
  const short = (e) => `<${e.localName}> ${e.textContent.trim().slice(0, 80)}`;
  const known = "h1 h2 h3 p ul ol li strong em code pre a details summary br hr table thead tbody tr th td".split(" ");
  for (const e of document.querySelectorAll("article *")) {
    if (!known.includes(e.localName)) bad.push(`markup from a recording: ${short(e)}`);
    if (e.localName === "a" && !links.some((l) => e.href.startsWith(l))) bad.push(`a link to ${e.href}`);
    const style = getComputedStyle(e);
    if (style.display !== "inline" && !e.closest("pre") && e.scrollWidth > e.clientWidth + 1) bad.push(`too wide: ${short(e)}`);
    const box = e.getBoundingClientRect();
    if (!e.parentElement.closest("pre") && box.right > document.documentElement.clientWidth) bad.push(`over the edge: ${short(e)}`);
  }
  const walk = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
  for (let n = walk.nextNode(); n; n = walk.nextNode()) {
    // In code nothing is a mention, a reference, a link, an emoji or mathematics.
    const found = n.parentElement.closest("code") ? null : /@\w.*|#\d.*|GH-\d+|https?:.*|www\..*|[`|<$*_].*|:\w+:/.exec(n.data);
    if (found) bad.push(`outside of code: ${found[0].slice(0, 80)} in ${short(n.parentElement)}`);
    if (/[\u0000-\u0008\u001b\u202a-\u202e\u2066-\u2069]/.test(n.data)) bad.push(`a control character in ${short(n.parentElement)}`);
  }
  return bad;
}

const browser = await chromium.launch({ executablePath: plan.browser, args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"] });
const page = await (await browser.newContext({ viewport: { width: plan.width, height: 900 } })).newPage();
const report = [];
let asked = [];
// Nobody is asked for anything; what a text asks for is noted.
await page.route("**", (r) => { asked.push(`request: ${r.request().url()}`); return r.abort(); });
page.on("dialog", (d) => { asked.push("a script ran"); void d.dismiss(); });
for (const t of plan.texts) {
  for (const [parser, html] of Object.entries(parsers)) {
    asked = [];
    await page.setContent(`<!doctype html><meta charset="utf-8"><style>${style} body { margin: 0 } article { padding: 16px }</style><article class="markdown-body">${html(readFileSync(t.file, "utf8"), !!t.breaks)}</article>`);
    const found = { name: t.name, parser, problems: await page.evaluate(wrong, plan.links), blocks: await page.locator("article pre").count(),
      longest: await page.evaluate(() => Math.max(...[...document.querySelectorAll("article pre")].map((e) => e.textContent.split("\n").length))) };
    found.headings = await page.locator("article h3").allTextContents();
    const folded = await page.locator("article details").all();
    found.folded = folded.length;
    for (const d of folded) {
      if (await d.locator("pre").first().isVisible()) found.problems.push("it is open at first");
      await d.locator("summary").click();
      if (!(await d.locator("pre").first().isVisible())) found.problems.push("it does not open");
    }
    found.problems.push(...(await page.evaluate(wrong, plan.links)).map((p) => `opened: ${p}`), ...asked);
    if (t.shot && parser === "marked") await page.screenshot({ path: t.shot, fullPage: true });
    report.push(found);
  }
}
await browser.close();
console.log(JSON.stringify(report));
