// Colours for Python source: words, texts, numbers, comments. It need not be right
// for every program, only calm to look at.

import { h } from "./util";

const token = /(#[^\n]*)|([rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))|\b(\d[\w.]*)|(@?[A-Za-z_]\w*)/g;
const words = new Set(("False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda " +
  "nonlocal not or pass raise return try while with yield match case").split(" "));

/** The lines of a text, each as nodes. */
export function highlighted(text: string): Node[][] {
  const lines: Node[][] = [[]];
  const add = (s: string, cls?: string): void => {
    s.split("\n").forEach((part, i) => {
      if (i > 0) lines.push([]);
      if (part) lines[lines.length - 1]!.push(cls ? h("span", { class: cls }, part) : document.createTextNode(part));
    });
  };
  let last = 0;
  for (const m of text.matchAll(token)) {
    add(text.slice(last, m.index));
    const cls = m[1] ? "hc" : m[2] ? "hs" : m[3] ? "hn" : words.has(m[4]!) ? "hk" : undefined;
    add(m[0], cls);
    last = m.index + m[0].length;
  }
  add(text.slice(last));
  return lines;
}
