package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each file is what is drawn, and well-formed.
func TestPicturesAreUpToDate(t *testing.T) {
	files, err := filepath.Glob("*.svg")
	require.NoError(t, err)
	require.Len(t, files, len(pictures))
	for name, draw := range pictures {
		want := draw().svg()
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%s: go generate ./luabridge/pictures", name)
		for d := xml.NewDecoder(strings.NewReader(want)); ; {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, name)
		}
	}
}

// Text that does not fit is found when it is drawn.
func TestTextThatDoesNotFit(t *testing.T) {
	c := &canvas{width: 300, height: 100}
	require.Panics(t, func() { c.box(130, 0, 40, 40, plain, "more than a few letters") })
	require.Panics(t, func() { c.box(100, 0, 90, 30, plain, "two", "lines") })
	require.Panics(t, func() { c.text(250, 10, "start", "", "over the border") })
	require.Panics(t, func() { c.text(10, 10, "end", "", "over the border") })
	require.NotPanics(t, func() { c.box(0, 0, 60, 40, plain, "fits") })
}
