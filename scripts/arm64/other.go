//go:build !(linux && arm64)

package main

import (
	"fmt"
	"os"
)

// Elsewhere the table of a file is looked for, and nothing counted.
func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "arm64: name a Python for arm64")
		os.Exit(2)
	}
	t, err := findTable(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "arm64:", err)
		os.Exit(1)
	}
	fmt.Println(t)
}
