// The page that is a file: everything is in it.

import { load } from "./data";
import { show } from "./page";

async function start(): Promise<void> {
  const wait = document.getElementById("wait");
  if (wait) wait.textContent = "Unpacking the events …";
  show(await load(document));
}

start().catch((e: unknown) => {
  const wait = document.getElementById("wait");
  const text = `The events can't be shown: ${e instanceof Error ? e.message : String(e)}. A browser of 2023 or later is needed.`;
  if (wait) wait.textContent = text; else document.getElementById("app")!.append(text);
  console.error(text);
});
