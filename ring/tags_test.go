package ring_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every ordered pair of doc.go has its two sides in Go, in Lua and in the model,
// each marked with its tag, and no file has a tag that is not in the table.
func TestOrderedPairsAreTheSameEverywhere(t *testing.T) {
	var pairs []string
	for _, m := range regexp.MustCompile(`(?m)^//\t(P\d+) `).FindAllStringSubmatch(read(t, "doc.go"), -1) {
		pairs = append(pairs, m[1])
	}
	require.Equal(t, []string{"P1", "P2", "P3", "P4"}, pairs)

	lua := read(t, "../luabridge/kongring/ring.lua")
	luaProducer, luaConsumer, ok := strings.Cut(lua, "\nlocal Consumer = {}")
	require.True(t, ok)
	model := read(t, "model/ring.pml")
	modelProducer, modelConsumer, ok := strings.Cut(model, "/* ---- consumer")
	require.True(t, ok)

	for side, text := range map[string]string{
		"producer.go": read(t, "producer.go"), "consumer.go": read(t, "consumer.go"),
		"the producer in ring.lua": luaProducer, "the consumer in ring.lua": luaConsumer,
		"the producer in ring.pml": modelProducer, "the consumer in ring.pml": modelConsumer,
	} {
		require.Equal(t, pairs, tags(text), side)
	}
	// Where the tags are promised too.
	for path, want := range map[string][]string{
		"../luabridge/helper/kongring.c":           pairs,
		"../luabridge/interop/litmus_test.go":      {"P3", "P4"},
		"../luabridge/interop/testdata/litmus.lua": {"P3", "P4"},
		"../luabridge/interop/stream_test.go":      {"P1", "P2"},
		"../luabridge/interop/testdata/stream.lua": {"P1", "P2"},
		"../luabridge/interop/litmus_go_test.go":   {"P3", "P4"},
	} {
		text := read(t, path)
		for _, tag := range want {
			require.Regexp(t, `\b`+tag+`\b`, text, path)
		}
	}
}

// tags gives the tags behind "sync" in a text, each once, in order.
func tags(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`sync ((?:P\d+(?:, )?)+)`).FindAllStringSubmatch(text, -1) {
		all = append(all, regexp.MustCompile(`P\d+`).FindAllString(m[1], -1)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
