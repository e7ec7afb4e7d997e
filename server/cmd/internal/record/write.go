package record

import (
	"encoding/json"
	"io"
)

// Writer writes the lines of a file. It is for one goroutine.
type Writer struct {
	Bytes int64 // written so far

	lines *json.Encoder
}

// NewWriter writes the header.
func NewWriter(to io.Writer, header Header) (*Writer, error) {
	w := &Writer{}
	w.lines = json.NewEncoder(io.MultiWriter(to, (*counter)(&w.Bytes)))
	w.lines.SetEscapeHTML(false)
	return w, w.lines.Encode(header)
}

// Write writes lines.
func (w *Writer) Write(lines ...Line) error {
	for _, line := range lines {
		if err := w.lines.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
