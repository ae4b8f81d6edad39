package main

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/packing"
	"pyrr/internal/screen"
)

// attachmentLimit keeps below the 25 MB that issue trackers take.
const attachmentLimit = 24 << 20

func packCommand() *cli.Command {
	return &cli.Command{
		Name: "pack",
		Synopsis: `[-o FILE.pyrr.zip] [--max-size SIZE] [--thin] [--markdown]
[--secret NAME]… [--masks FILE] RECORDING`,
		Short: "make one self-contained file to attach, with secrets replaced",
		Long: `Writes a recording once more, as one small zip file that replays anywhere, and
replaces the secrets that are known: the values of environment variables with
names like API_TOKEN or DB_PASSWORD, those named by --secret, passwords in
URLs, netrc and pip's configuration, what --masks lists, and what looks like a
secret or stands where secrets stand (Authorization and Cookie headers, members
of JSON, private keys, tokens of known services; docs/ci.md has the rules, and a
line says what each replaced). Each gets a placeholder of the same length and kind, everywhere: in the environment, in
memory, in what was read and received, in base64, URL encoding and UTF-16 too,
in upper and lower case, and in the escapes of JSON, HTML, shells and Python.

The result is replayed before it gets its name. Where the program does
something else with a placeholder, or where a known secret shows up in its
memory, the file gets events, stacks and output only, and no memory; it can
be read, not replayed. redacted.json in the zip file lists the names of what
was replaced. A machine that can't replay packs a recording without secrets as it
is, and of one with secrets events and stacks only.

Of a recording of one test that was not cut by pyrr record already (the recorder
was killed, say), only what the test touches is packed: memory, and parts of
mapped files. What exceeds --max-size then goes without the index of stacks and
the source lines, which a replay makes again. A line says what was cut.

With --thin the file goes without the mapped files (the interpreter, its libraries)
that this machine has, known by their SHA-256: a tenth of the size, or less. Where
the same files are (the same container image, say) it replays as any other; elsewhere
it can be read, by its index, and a replay says which file is missing.

Known secrets only: a recording holds all that the program read, and what
nobody named stays in it.`,
		Examples: []cli.Example{
			{"pyrr pack recordings/app-k3x9fa.pyrr.zip", "write app-k3x9fa-packed.pyrr.zip beside it"},
			{"pyrr pack --secret LICENCE -o bug.pyrr.zip rec.pyrr.zip", "a variable whose name does not say it"},
			{"pyrr pack --thin -o rec-thin.pyrr.zip rec.pyrr.zip", "for who has the same interpreter"},
			{"pyrr pack --markdown rec.pyrr.zip >report.md", "and a block to paste into a bug report"},
		},
		Exits: []cli.Exit{
			{"0", "the file was written"},
			{"2", "usage error"},
			{"3", "not written: it is too large, or the recording is damaged or not exact"},
			{"4", "this machine can't replay it, and it has secrets and no index"},
			{"130", "interrupted"},
		},
		Operand:  "recording",
		Settings: map[string]string{"secrets": "secret"},
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			f := packing.Flags{MaxSize: attachmentLimit}
			fs.StringVarP(&f.Out, "output", "o", "", "the `FILE.pyrr.zip` to write (default NAME-packed.pyrr.zip beside\nthe recording)")
			fs.Var(&f.MaxSize, "max-size", "cut, or refuse, a result above this `size`: 5MB, 24MiB\n(default 24MiB)")
			fs.BoolVar(&f.Thin, "thin", false, "leave out the mapped files that this machine has")
			fs.BoolVar(&f.Markdown, "markdown", false, "print a block for a bug report: what hung, where, how to replay")
			f.Secrets.Declare(fs)
			return func(_ context.Context, u *screen.UI, args []string) error {
				return packing.Pack(u, &f, args)
			}
		},
	}
}
