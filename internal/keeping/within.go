//go:build linux

package keeping

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"pyrr/capture"
	"pyrr/internal/cli"
	"pyrr/internal/hint"
	"pyrr/internal/naming"
	"pyrr/internal/printable"
	"pyrr/internal/screen"
)

// recordWithin records test by test a process that runs already and asked for it:
// pytest --pyrr where another program called pytest.main(), which can't be started
// again. That waits for a line on standard output, "PID FOLDER": who is to be told by
// SIGTERM when the tests are over, and where the plugin lies that marks them. When
// standard output is closed the recordings are complete. Where nothing is recorded the
// line is "- WHY".
func recordWithin(ctx context.Context, u *screen.UI, f *Flags, fs *pflag.FlagSet, t *naming.Target, o *capture.Options) error {
	tidy, fin := testByTest(u, o, t, f, fs)
	if fin == nil {
		tidy()
		discardEmpty(u, t)
		return errors.New("record: --within needs the plugin of pytest")
	}
	o.Attached = func(time.Duration) { fmt.Fprintf(u.Out, "%d %s\n", os.Getppid(), o.Tests.Plugin) }
	info, err := capture.Attach(ctx, *o)
	done := fin.end()
	tidy()
	if err != nil {
		discardEmpty(u, t)
		return attachFailed("record", f.pid, err)
	}
	finishTests(u, done, f, info.Kept)
	saySurplus(u, f, info.Surplus)
	discard(u, t)
	return nil
}

// tellWhyNot has the process that waits say why it is not recorded, in its own line.
func tellWhyNot(u *screen.UI, err error) error {
	if _, told := errors.AsType[cli.Status](err); err == nil || told {
		return err
	}
	why := strings.Join(append([]string{err.Error()}, hint.Of(err)...), "; ")
	fmt.Fprintf(u.Out, "- %s\n", printable.Line(why))
	return cli.Status(cli.ExitOwn)
}
