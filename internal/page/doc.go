// Package page makes the page about a recording: one HTML file that shows why
// the program hung or failed, and what it did, on any machine with a browser.
// It asks nothing of any other machine.
//
// The verdict, its evidence and the exception are in the page as plain HTML, so
// that they are there without a script, on paper and for a screen reader. All
// events, their stacks, the source that ran and the output come as one
// compressed block, which the script (folder web) unpacks:
//
//	uint32, little endian: the length of the JSON
//	JSON: names, frames, sources, and what columns there are
//	columns: one varint a row, or the bytes of all texts
//
// It judges nothing and reads no memory. What a recording says is a stranger's
// text: it is cleaned here and never becomes markup, here or in the script, and
// the page's policy permits the two inline blocks that this package embeds and no
// other source of anything.
//
// Begin with Make (page.go); events.go reads the rows, web/src/main.ts shows them.
package page
