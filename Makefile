# The targets that people use: demo, test. `.ci/run` runs both.

GO ?= go
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: all build setup demo test as-nobody lint generate native conformance soak elsewhere places attaches suites capture-figures adopt bench page-figures process-figures dispatch-figures packages release vscode picture fuzz-short clean

all: build

build:
	CGO_ENABLED=0 $(GO) build -trimpath $(if $(filter linux/amd64,$(shell $(GO) env GOOS)/$(shell $(GO) env GOARCH)),-ldflags '-E pyrr_entry') -o bin/pyrr ./cmd/pyrr

# Interpreters and virtual environments; what is there is kept. `make test` does it itself.
setup:
	scripts/setup.sh

# The main job: records a test that hangs, and holds the recording against specs/.
demo: build
	scripts/demo.sh

# The extension for VS Code: type check, a session with the adapter, the package.
vscode: build
	scripts/vscode.sh

test: build
	scripts/test.sh

# Every fixture once as an ordinary user; `make test` does this too, as root.
as-nobody:
	scripts/as-nobody.sh

lint:
	test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...

generate:
	$(GO) generate ./...

# The fixtures without pyrr, on every interpreter.
native:
	scripts/native.py

# CPython's own regression tests, all files; writes docs/conformance.md.
conformance: build
	scripts/conformance.sh

# A thousand record and replay pairs; writes their count to docs/conformance.md.
soak: build setup
	scripts/soak.sh

# Attaches a hundred times to programs at work, at random moments, and prints the table of
# docs/attach.md; then a hundred times to one and the same program, of each of four kinds.
attaches:
	PYRR_ATTACHES=$(or $(N),100) $(GO) test ./cmd/pyrr -run 'TestAttach(Again)?$$' -v -timeout 60m -count 1

# Replays on other processors and kernels, emulated: see scripts/elsewhere.sh.
elsewhere: build
	PYRR=bin/pyrr scripts/elsewhere.sh all

# A program recorded and replayed in every interpreter, small machine and sandbox that this
# machine can play; writes the table to docs/conformance.md.
places: build
	PYRR=bin/pyrr scripts/places.sh
	$(GO) run ./internal/conformance/run report

# The tests of well-known packages, natively and recorded; writes docs/suites.md.
suites: build
	scripts/suites.py

# What recording test by test costs; writes docs/capture.md.
capture-figures: build
	scripts/capture-figures.py

# Seven packages of others adopt pyrr; writes the example of docs/adopting.md.
adopt:
	scripts/adopt.py

# Ratios to native; writes docs/performance.md.
bench: build setup
	$(GO) run ./bench

# What recording many processes at once costs, in two minutes; writes docs/performance.md.
process-figures: build
	$(GO) run ./bench --processes

# What calls cost on kernels before 6.4, in six minutes; writes docs/performance.md.
dispatch-figures: build setup
	$(GO) run ./bench --dispatch

# What the page about a recording costs, in a browser; writes docs/performance.md.
page-figures:
	scripts/page-figures.sh

# The archive, the Debian package and the wheel, in dist/.
VERSION ?= 0.1.0.dev0
packages:
	scripts/packages/build.sh $(VERSION)

# The packages, their bill of materials and provenance, and the checksums of all, in dist/.
release:
	scripts/release.sh $(VERSION)

# docs/explain.svg, from what explain says of a real recording.
picture: build
	scripts/picture.py

fuzz-short:
	scripts/fuzz.sh

clean:
	rm -rf bin dist
