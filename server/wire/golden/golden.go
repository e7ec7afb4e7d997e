// Package golden reads and writes the golden frames of the protocol, the files in
// server/wire/testdata/golden. Only tests use it, those of Lua by a reader of
// their own (luabridge/spec/golden.lua).
//
// A file is text: what stands behind "#" explains, and the rest is bytes in hex.
// "00*12" stands for twelve bytes of 0.
package golden

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Folder gives where the files are, whatever package's test asks.
func Folder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "testdata", "golden")
}

// Read gives the bytes of a file. It panics when there is no such file, or it is
// none of these: that is the fault of who wrote it.
func Read(name string) []byte {
	text, err := os.ReadFile(filepath.Join(Folder(), name+".hex"))
	if err != nil {
		panic(err)
	}
	b, err := Parse(string(text))
	if err != nil {
		panic(fmt.Sprintf("%s.hex: %v", name, err))
	}
	return b
}

// Parse gives the bytes of a file's text. The error names the word that is none.
func Parse(text string) (b []byte, err error) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			digits, times, many := strings.Cut(word, "*")
			one, err := hex.DecodeString(digits)
			n := 1
			if err == nil && many {
				n, err = strconv.Atoi(times)
			}
			if err != nil || len(one) != 1 || n < 1 {
				return nil, fmt.Errorf("%q is no byte", word)
			}
			for range n {
				b = append(b, one[0])
			}
		}
	}
	return b, nil
}

// Field is a part of a frame.
type Field struct {
	Bytes []byte
	Note  string
}

// Lines of a file have so many bytes at most, and their note at this column.
const (
	bytesInLine = 12
	noteColumn  = 38
)

// run is the number of equal bytes from which on they are written as one word.
const run = 8

// Render gives the text of a file: what it is, and its fields.
func Render(about string, fields []Field) string {
	var out strings.Builder
	for line := range strings.Lines(about) {
		out.WriteString("# " + strings.TrimSpace(line) + "\n")
	}
	out.WriteString("\n")
	for _, f := range fields {
		note := f.Note
		for _, line := range lines(f.Bytes) {
			if note != "" {
				line = fmt.Sprintf("%-*s# %s", noteColumn, line, note)
			}
			out.WriteString(line + "\n")
			note = ""
		}
	}
	return out.String()
}

// lines gives bytes as lines of words.
func lines(b []byte) (lines []string) {
	var words []string
	end := func() {
		if len(words) > 0 {
			lines = append(lines, strings.Join(words, " "))
			words = nil
		}
	}
	for i := 0; i < len(b); {
		n := 1
		for i+n < len(b) && b[i+n] == b[i] {
			n++
		}
		if n >= run {
			end()
			lines = append(lines, fmt.Sprintf("%02x*%d", b[i], n))
			i += n
			continue
		}
		words = append(words, fmt.Sprintf("%02x", b[i]))
		if i++; len(words) == bytesInLine {
			end()
		}
	}
	end()
	return lines
}
