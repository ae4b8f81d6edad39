// A session of the extension in code-server, by Chromium. It is started by hand: a
// code-server that has the extension, and pyrr.path in its settings, is at the address CODE_SERVER, FOLDER is a folder of
// its machine with app.py (that of session.test.ts) and app.pyrr.zip, playwright-core is
// installed in PLAYWRIGHT. It prints what it did and saw, and ends with status 1 where
// something was not there; SHOT names a picture of that.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { chromium } = createRequire(`${process.env.PLAYWRIGHT}/`)("playwright-core");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1500, height: 950 } });
page.setDefaultTimeout(60_000);
const say = (did, saw) => console.log(`| ${did} | ${saw.replace(/\s+/g, " ").trim()} |`);

/** Waits until f returns something, and returns it. */
async function until(what, f, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const got = await f().catch(() => undefined);
    if (got) {
      return got;
    }
    assert.ok(Date.now() < end, `${what}: not in ${seconds} s`);
    await new Promise((r) => setTimeout(r, 300));
  }
}
const text = (selector) => page.locator(selector).allInnerTexts().then((all) => all.join(" ").replaceAll("\u00a0", " "));
const row = (name) => page.locator(".explorer-folders-view .monaco-list-row", { hasText: name }).first();

async function command(name) {
  await page.keyboard.press("F1");
  await page.locator(".quick-input-widget input").first().fill(`>${name}`);
  await page.locator(".quick-input-list .monaco-list-row", { hasText: name }).first().click();
}
const button = (name) => page.locator(`.debug-toolbar .action-label[aria-label^="${name}"]`).first().click();
/** The line that the debugger shows as the current one. */
const stopped = (line) =>
  until(`stopped at line ${line}`, async () => {
    const frame = await text(".debug-call-stack .monaco-list-row.selected, .debug-call-stack .monaco-list-row");
    return new RegExp(`app\\.py\\s*${line}:`).test(frame) && frame;
  });

try {
  await page.goto(`${process.env.CODE_SERVER}/?folder=${process.env.FOLDER}`);
  await row("app.py").waitFor();

  await row("app.py").dblclick();
  const lens = await until("CodeLens", async () => (await text(".codelens-decoration")).includes("print here over all runs") && text(".codelens-decoration"));
  say("`app.py` is opened", `CodeLens: ${lens}`);

  await page.locator(".codelens-decoration a", { hasText: "print here" }).nth(1).click();
  const passes = await until("print here", async () => ((await text(".view-lines")).match(/[^\n]*step.?=.?2[^\n]*/) ?? [])[0]);
  say("click on *print here over all runs* above `Job.run`", `beside it: ${passes.slice(0, 160)}`);

  await row("app.py").dblclick();
  await page.keyboard.press("Control+g");
  await page.keyboard.type("8");
  await page.keyboard.press("Enter");
  await page.keyboard.press("F9");
  await page.locator(".codicon-debug-breakpoint, .codicon-debug-breakpoint-unverified").first().waitFor();

  await row("app.pyrr.zip").dblclick();
  const shown = await until("the page", async () => {
    for (const f of page.frames()) {
      const body = await f.locator("body").innerText({ timeout: 1000 }).catch(() => "");
      if (body.includes("Travel through this recording") && body.includes("verified")) {
        return [f, body];
      }
    }
    return undefined;
  });
  say("double click on `app.pyrr.zip`", `the page: ${shown[1].slice(0, 120)}`);

  await shown[0].locator("a", { hasText: "Travel through this recording" }).click();
  await page.locator(".debug-toolbar").waitFor();
  const buttons = await page.locator(".debug-toolbar .action-label").evaluateAll((all) => all.map((a) => (a.getAttribute("aria-label") ?? "").replace(/ \(.*/, "")));
  say("click on *Travel through this recording*", `the debug toolbar: ${buttons.filter(Boolean).join(", ")}`);
  assert.ok(buttons.includes("Step Back") && buttons.includes("Reverse"), "no way back");
  await page.locator(".activitybar a[aria-label^='Run and Debug']").first().dispatchEvent("click"); // the call stack is shown there alone
  await stopped(1);

  await page.keyboard.press("F5");
  say("F5, with a breakpoint at line 8", `stopped: ${(await stopped(8)).slice(0, 80)}`);
  const inline = await until("inline values", async () => ((await text(".view-lines")).match(/total = 0[^\n]*/) ?? [])[0]);
  say("", `inline values: ${inline.slice(0, 60)}`);
  await page.keyboard.press("F5");
  await until("the second pass", async () => (await text(".view-lines")).includes("i = 1"));
  await button("Step Back");
  say("*Step Back*", `stopped: ${(await stopped(7)).slice(0, 80)}`);
  await button("Reverse");
  say("*Reverse*", `stopped: ${(await stopped(8)).slice(0, 80)}`);

  await command("pyrr: Exception History");
  const raised = await until("exceptions", async () => (await text(".quick-input-list")).includes("KeyError") && text(".quick-input-list"));
  say("*pyrr: Exception History*", raised.slice(0, 120));
  await page.locator(".quick-input-list .monaco-list-row", { hasText: "KeyError" }).first().click();
  say("`KeyError` is chosen", `stopped: ${(await stopped(14)).slice(0, 80)}`);

  await command("pyrr: Jump to an Event");
  const events = await until("events", async () => /\be\d+/.test(await text(".quick-input-list")) && text(".quick-input-list"));
  say("*pyrr: Jump to an Event*", `the events around: ${events.slice(0, 120)}`);
  await page.locator(".quick-input-widget input").first().fill("write(1");
  await page.locator(".quick-input-list .monaco-list-row", { hasText: "write(1" }).first().click();
  say("`write(1, …)` is chosen", `stopped: ${(await stopped(16)).slice(0, 80)}`);
} catch (err) {
  if (process.env.SHOT) {
    await page.screenshot({ path: process.env.SHOT });
  }
  console.log(err.message);
  process.exitCode = 1;
} finally {
  await browser.close();
}
