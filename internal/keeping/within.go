//go:build linux && amd64

package keeping

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"pyrr/capture"
	"pyrr/internal/naming"
	"pyrr/internal/screen"
)

// recordWithin records test by test a process that runs already and asked for it:
// pytest --pyrr where another program called pytest.main(), which can't be started
// again. That waits for a line on standard output, "PID FOLDER": who is to be told by
// SIGTERM when the tests are over, and where the plugin lies that marks them. When
// standard output is closed the recordings are complete.
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
