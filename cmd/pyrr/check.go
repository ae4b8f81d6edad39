package main

import (
	"context"
	"os"

	"github.com/spf13/pflag"

	"pyrr/internal/checking"
	"pyrr/internal/cli"
	"pyrr/internal/report"
	"pyrr/internal/screen"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:     "check",
		Synopsis: "[-v] [-x] [-k TEXT] [-m TAG,…] [--lf] [-n N] [--shard I/N]\n[--from oci://NAME]… [--collect-only] [--update] [--allow-inconclusive]\n" + report.Usage() + " [--github] [SPEC…]",
		Short:    "hold recordings against specs",
		Long: `A spec is a YAML file that names recordings and says what must be true of
them, in sentences such as

  - recv at urllib3/connection.py:504 within 20000 instructions of connect

and by stacks that are kept in files, the goldens. SPEC is a file or a folder
(by default specs, or what the project's settings name). Each recording is
opened once, and replayed where stacks are needed. What can't be judged, because
a recording is cut or diverges, is not a pass: it ends with 3, unless
--allow-inconclusive is given.`,
		Examples: []cli.Example{
			{"pyrr check", "all of specs"},
			{"pyrr check -v specs/pool_read.yaml", "one, with the checks that hold"},
			{"pyrr check --junitxml out.xml", "for a CI that reads JUnit"},
			{"pyrr check -n 2 --html check.html", "two recordings at once, and a page to look at"},
			{"pyrr check --shard 3/10", "the third of ten parts, for a CI with ten jobs"},
			{"pyrr check --from oci://registry.example/team/app:run-81", "recordings that are in a registry"},
			{"pyrr check --schema >pyrr.schema.json", "completion for editors"},
		},
		Exits: []cli.Exit{
			{"0", "all hold"},
			{"1", "an expectation failed"},
			{"2", "usage error, or a mistake in a spec or golden"},
			{"3", "something could not be judged"},
			{"4", "this machine can't replay; the reason was printed"},
			{"5", "there was nothing to check"},
			{"130", "interrupted"},
		},
		Operand:  "spec",
		Settings: map[string]string{"specs": "default-specs"},
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f checking.Flags
			fs.BoolVarP(&f.Verbose, "verbose", "v", false, "show the checks that hold, too")
			fs.BoolVarP(&f.FailFast, "exitfirst", "x", false, "stop at the first recording that fails")
			fs.StringVarP(&f.Keyword, "keyword", "k", "", "only specs whose file, name or case holds `TEXT`")
			fs.StringSliceVarP(&f.Tags, "tag", "m", nil, "only specs with one of these `tags`")
			fs.BoolVar(&f.Collect, "collect-only", false, "list the checks without making them")
			fs.BoolVar(&f.LastFailed, "lf", false, "only the specs that failed the last time, all if none did")
			fs.StringVar(&f.Shard, "shard", "", "only the recordings of part I of N, as `I/N`, by their names")
			fs.StringArrayVar(&f.From, "from", nil, "find the recordings that specs name in the registry, by `NAME`:\noci://REGISTRY/OWNER/REPO:TAG; again for more")
			fs.BoolVar(&f.PlainHTTP, "plain-http", false, "speak HTTP without TLS to a registry elsewhere, too")
			fs.BoolVar(&f.Update, "update", false, "rewrite the goldens that differ; refused where CI is set")
			fs.BoolVar(&f.InCI, "in-ci", false, "let --update write even where CI is set")
			f.FormFlags(fs)
			fs.BoolVar(&f.Schema, "schema", false, "print the JSON Schema of specs, for editors")
			fs.BoolVar(&f.Github, "github", os.Getenv("GITHUB_ACTIONS") == "true", "print annotations for GitHub Actions, too (the default there)")
			fs.IntVarP(&f.Workers, "jobs", "n", 1, "judge `N` recordings at once")
			fs.BoolVar(&f.Lenient, "allow-inconclusive", false, "let what can not be judged pass")
			specs := fs.String("default-specs", checking.DefaultSpecs, "the folder that is checked when none is named")
			if err := fs.MarkHidden("default-specs"); err != nil {
				panic(err) // declared above
			}
			return func(ctx context.Context, u *screen.UI, args []string) error {
				if len(args) == 0 && fs.Changed("default-specs") {
					args = []string{*specs}
				}
				return checking.Check(ctx, u, &f, args)
			}
		},
	}
}
