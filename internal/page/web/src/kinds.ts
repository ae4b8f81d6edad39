// The kinds of rows, in the order of kinds.go: what colours a wait.

/** Kinds that people rarely look for, hidden at first. */
export const quiet = new Set(["other", "memory", "scheduling"]);

/** Names of the variables of page.css that hold the colours. */
export function colourOf(kind: string): string { return `--k-${kind.replace(/[^a-z]/g, "-")}`; }
