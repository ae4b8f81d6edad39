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
		under("to record:", recordCommand()),
		doctorCommand(),
		under("when a build is red:", openCommand()),
		explainCommand(),
		replayCommand(),
		reportCommand(),
		summaryCommand(),
		under("to look closer:", lsCommand()),
		infoCommand(),
		btCommand(),
		eventsCommand(),
		printCommand(),
		lastCommand(),
		whereCommand(),
		profileCommand(),
		diffCommand(),
		under("by an editor, a browser, an agent:", dapCommand()),
		serveCommand(),
		mcpCommand(),
		under("to hold recordings against specs:", newCommand()),
		checkCommand(),
		acceptCommand(),
		under("to share recordings:", packCommand()),
		pushCommand(),
		pullCommand(),
		under("pyrr itself:", cli.Completion(commands)),
		versionCommand(),
		cli.Help(commands),
	}
}

// under puts a heading above a command and those that follow it.
func under(heading string, c *cli.Command) *cli.Command {
	c.Group = heading
	return c
}

func main() {
	headroom.Collect()
	headroom.Crammed()
	if why := headroom.Addresses(); why != "" {
		screen.New(os.Stdout, os.Stderr).Fail(errors.New(why))
		os.Exit(cli.ExitMachine)
	}
	os.Exit(commands().Run(context.Background(), screen.New(os.Stdout, os.Stderr), os.Args[1:]))
}
