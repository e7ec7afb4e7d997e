package model

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
)

// What SPIN says of the first error, see ring.pml and doc.go.
const (
	holds       = "" // no error
	stuck       = "invalid end state"
	wrongFrame  = "assertion violated  !(wrong_frame)"
	tornPayload = "assertion violated  !(torn_payload)"
	missedWake  = "assertion violated  !(missed_wake)"
	heldBack    = "assertion violated  !(held_back)"
	neverRead   = "acceptance cycle" // every_frame_is_read
)

// And in session.pml.
const (
	wrongAnswer = "assertion violated  !(wrong_answer)"
	notOneEnd   = "assertion violated  !(not_one_end)"
	leftOver    = "assertion violated  !(left_over)"
)

type variant struct {
	name   string
	macros string
	want   string
}

// sessionVariants are of session.pml.
var sessionVariants = []variant{
	{"sessions, either side dies at any step", "", holds},
	{"sessions, rings of two frames", "ROOM=2", holds},
	{"sessions, no deadline", "NO_DEADLINE", holds},

	{"answers without a generation", "NO_GENERATION", wrongAnswer},
	{"one memory for all sessions", "SAME_MEMORY", wrongAnswer},
	{"a worker that hears no hang-up, no deadline", "DEAF_WORKER NO_DEADLINE", notOneEnd},
	{"an event that is waited for after the hang-up", "WAITS_ON", notOneEnd},
	{"a server that hears no hang-up", "DEAF_SERVER", leftOver},
}

// variants are of ring.pml. Where ARM is not named the processors are x86.
var variants = []variant{
	{"the ring on x86", "", holds},
	{"the ring on ARM", "ARM", holds},
	{"the ring, 16 words", "CAP=16 FRAMES=4", holds},
	{"the ring, every run ends", "LIVENESS ARM FRAMES=4", holds},
	{"the ring, one side dies at any step", "DEATH FRAMES=4", holds},
	{"the ring, one side dies at any step, ARM", "DEATH ARM FRAMES=3", holds},

	{"I7: a sleeping consumer does not hear of the death", "DEATH NO_HANG_UP_CONSUMER", stuck},
	{"I7: a waiting producer does not hear of the death", "DEATH NO_HANG_UP_PRODUCER", stuck},
	{"P3: no fence in Consumer.Sleep", "NO_FENCE_CONSUMER_SLEEP", stuck},
	{"P3: the same, as a run that never ends", "NO_FENCE_CONSUMER_SLEEP LIVENESS", neverRead},
	{"P3: no fence in Producer.ClaimWake", "NO_FENCE_PRODUCER_CLAIM", stuck},
	{"P4: no fence in Producer.Wait", "NO_FENCE_PRODUCER_WAIT", stuck},
	{"P4: no fence in Consumer.ClaimWake", "NO_FENCE_CONSUMER_CLAIM", missedWake},

	{"I4: next word not cleared", "NO_CLEAR", wrongFrame},
	{"I4: no room for the next word", "NO_SPARE", stuck},
	{"I5: pad before the frame behind it", "PAD_FIRST", wrongFrame},
	{"P1: commit before payload", "COMMIT_FIRST", tornPayload},
	{"P1: commit is a plain store, ARM", "PLAIN_COMMIT ARM", wrongFrame},
	{"P1: the same on x86: harmless", "PLAIN_COMMIT FRAMES=4", holds},
	{"P1: commit is a plain load, ARM", "PLAIN_LOAD ARM", tornPayload},
	{"P2: Consumed before the copy", "PUBLISH_FIRST", tornPayload},

	{"I6: no publish in Sleep: harmless", "NO_SLEEP_PUBLISH", holds},
	{"I6: the same, frames of half the ring", "NO_SLEEP_PUBLISH LONGEST=4", stuck},
	{"I6: no publish at a quarter", "NO_QUARTER_PUBLISH", heldBack},
}

func TestModel(t *testing.T) {
	for _, tool := range []string{"spin", "cc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: the model is not checked (Debian: apt install spin gcc)", tool)
		}
	}
	if testing.Short() {
		t.Skip("the model checker takes some seconds: not with -short")
	}

	all := map[string][]variant{"ring.pml": variants, "session.pml": sessionVariants}
	results := map[string][]result{}
	for file, of := range all {
		results[file] = make([]result, len(of))
	}
	t.Run("variants", func(t *testing.T) {
		for file, of := range all {
			for i, v := range of {
				t.Run(v.name, func(t *testing.T) {
					t.Parallel()
					results[file][i] = check(t, file, v)
				})
			}
		}
	})

	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "variant\texpected\terrors\tstates\tfirst error")
	for file, of := range all {
		for i, v := range of {
			expected := ">= 1"
			if v.want == holds {
				expected = "0"
			}
			r := results[file][i]
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", v.name, expected, r.errors, r.states, r.first)
		}
	}
	require.NoError(t, w.Flush())
	t.Log("\n" + table.String())
}

// result is what a run of pan, the checker that spin writes, came to. pan ends
// at the first error, so a broken variant has one.
type result struct {
	errors, states int
	first          string
}

var (
	summary    = regexp.MustCompile(`(?m)^State-vector \d+ byte, depth reached \d+, errors: (\d+)$`)
	stored     = regexp.MustCompile(`(?m)^ *(\d+) states, stored`)
	firstError = regexp.MustCompile(`(?m)^pan:1: (.+?) \(at depth \d+\)$`)

	// Limits that cut a search short, so that "errors: 0" would mean nothing.
	cutShort = regexp.MustCompile(`(?i)max search depth too small|out of memory|MEMLIM|resource limit|internal error`)

	// Statements of a process that no run came to, but for its end, which pan
	// lists when a process runs for ever.
	unreached = regexp.MustCompile(`(?m)^\t\S+:\d+, state \d+, "([^"]*)"$`)
)

// check builds the variant in a directory of its own, runs it and compares.
func check(t *testing.T, file string, v variant) result {
	dir := t.TempDir()
	source, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), source, 0o600))

	// spin would call gcc by name to expand the macros.
	model := []string{"-Pcc -E -x c"}
	for _, m := range strings.Fields(v.macros) {
		model = append(model, "-D"+m)
	}
	model = append(model, file)
	run(t, dir, "spin", append([]string{"-a"}, model...)...)

	optimize := "-O1"
	if v.want != holds {
		optimize = "-O0" // to compile would take longer than to find the error
	}
	compile := []string{optimize, "-w", "-DMEMLIM=1500", "-o", "pan", "pan.c"}
	search := []string{"-m20000", "-w22"}
	liveness := strings.Contains(v.macros, "LIVENESS")
	if liveness {
		search = append(search, "-a")
	} else {
		compile = append(compile, "-DSAFETY")
	}
	run(t, dir, "cc", compile...)
	out := run(t, dir, "./pan", search...)

	require.NotRegexp(t, cutShort, out)
	line := summary.FindStringSubmatch(out)
	require.NotNil(t, line, "no summary:\n%s", out)
	states := stored.FindStringSubmatch(out)
	require.NotNil(t, states, "no count of states:\n%s", out)
	var r result
	r.errors, _ = strconv.Atoi(line[1])
	r.states, _ = strconv.Atoi(states[1])
	if first := firstError.FindStringSubmatch(out); first != nil {
		r.first = first[1]
	}

	if v.want == holds {
		if r.errors != 0 {
			t.Fatalf("%s\n%s", out, trail(dir, file, model))
		}
		require.NotContains(t, out, "Search not completed")
		// There the last frame ends the search; and with a death there are fewer
		// frames, since it takes more states.
		if !liveness && file == "ring.pml" && !strings.Contains(v.macros, "DEATH") {
			for _, s := range unreached.FindAllStringSubmatch(out, -1) {
				require.Equal(t, "-end-", s[1], "a step that no run took:\n%s", out)
			}
		}
	} else {
		require.Positive(t, r.errors, "the model does not notice the damage:\n%s", out)
		require.Equal(t, v.want, r.first)
	}
	t.Logf("errors: %d, states: %d %s", r.errors, r.states, r.first)
	return r
}

// trail is the end of the run that leads to an error.
func trail(dir, file string, model []string) string {
	cmd := exec.Command("spin", append([]string{"-p", "-k", file + ".trail"}, model...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	lines := strings.Split(string(out), "\n")
	return fmt.Sprintf("%s\n%v", strings.Join(lines[max(0, len(lines)-100):], "\n"), err)
}

func run(t *testing.T, dir, name string, args ...string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", name, args, out)
	return string(out)
}
