// Makes page.js, live.js and page.css from src, in the folder that is named, or built/:
// scripts/page.sh build. PYRR_PAGE_TOOLS is where the npm packages are.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const { build } = createRequire(join(process.env.PYRR_PAGE_TOOLS ?? here, "package.json"))("esbuild");
const out = process.argv[2] ?? join(here, "built");
const common = { bundle: true, minify: true, charset: "utf8", legalComments: "none", logLevel: "warning", absWorkingDir: here };
await build({ ...common, entryPoints: ["src/main.ts"], outfile: join(out, "page.js"), format: "iife", target: "es2022" });
await build({ ...common, entryPoints: ["src/live.ts"], outfile: join(out, "live.js"), format: "iife", target: "es2022" });
await build({ ...common, entryPoints: ["src/page.css"], outfile: join(out, "page.css") });

// What they were made from, so that a change of the source without a build shows where there is no node.
const sum = createHash("sha256");
for (const name of ["package-lock.json", ...readdirSync(join(here, "src")).map((n) => `src/${n}`)].sort()) sum.update(`${name}\0`).update(readFileSync(join(here, name))).update("\0");
writeFileSync(join(out, "source.sha256"), sum.digest("hex") + "\n");
