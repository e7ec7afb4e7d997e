package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
)

// Save writes the report into files whose paths begin with prefix: requests.txt,
// requests.json, targets.md, and the pictures requests and latency, of a number of
// connections, as SVG and PNG. It gives their paths.
func (r *Report) Save(prefix string, conns int) (files []string, err error) {
	var text, targets bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		return nil, err
	}
	r.WriteTargets(&targets)
	asJSON, err := r.JSON()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, file := range []struct {
		name string
		text []byte
	}{{"requests.txt", text.Bytes()}, {"requests.json", asJSON}, {"targets.md", targets.Bytes()}} {
		files = append(files, prefix+file.name)
		errs = append(errs, os.WriteFile(prefix+file.name, file.text, 0o644))
	}
	for _, picture := range []struct {
		name string
		what Picture
	}{{"requests", Throughput}, {"latency", Latency}} {
		svg, png := prefix+picture.name+".svg", prefix+picture.name+".png"
		files = append(files, svg, png)
		errs = append(errs, r.SavePicture(picture.what, conns, svg, png))
	}
	return files, errors.Join(errs...)
}

// WriteRequests writes the table of whole requests alone.
func (r *Report) WriteRequests(out io.Writer) { r.writeRequests(out) }

// JSON is the report for programs; the package comment lists the keys.
func (r *Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}
