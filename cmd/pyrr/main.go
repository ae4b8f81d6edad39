// Command pyrr records a run of a Python program, replays it exactly, and
// checks what happened in it. docs/architecture.md says how.
package main

import (
	"context"
	"errors"
	"os"

	"pyrr/internal/cli"
	"pyrr/internal/headroom"
	"pyrr/internal/screen"
)

// commands returns the table, in the order of the help.
func commands() cli.Table {
	return cli.Table{
		recordCommand(),
		checkCommand(),
		acceptCommand(),
		newCommand(),
		btCommand(),
		replayCommand(),
		dapCommand(),
		eventsCommand(),
		infoCommand(),
		lsCommand(),
		openCommand(),
		explainCommand(),
		printCommand(),
		lastCommand(),
		whereCommand(),
		profileCommand(),
		mcpCommand(),
		serveCommand(),
		summaryCommand(),
		diffCommand(),
		reportCommand(),
		packCommand(),
		pushCommand(),
		pullCommand(),
		doctorCommand(),
		cli.Completion(commands),
		versionCommand(),
		cli.Help(commands),
	}
}

func main() {
	headroom.Collect()
	if why := headroom.Addresses(); why != "" {
		screen.New(os.Stdout, os.Stderr).Fail(errors.New(why))
		os.Exit(cli.ExitMachine)
	}
	os.Exit(commands().Run(context.Background(), screen.New(os.Stdout, os.Stderr), os.Args[1:]))
}
