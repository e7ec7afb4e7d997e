package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
)

// MIME types of bodies that Kong parses.
const (
	form      = "application/x-www-form-urlencoded"
	parts     = "multipart/form-data"
	jsonTyped = "application/json"
)

// parse gives a body as a table, with its MIME type.
func parse(contentType string, body []byte) (interface{}, error) {
	if contentType == "" {
		return nil, said{errors.New("missing content type")}
	}
	mimetype, params, _ := mime.ParseMediaType(contentType) // "" for what is none
	var v interface{}
	var err error
	switch mimetype {
	case form:
		var values url.Values
		values, err = url.ParseQuery(string(body))
		v = lists(values)
	case parts:
		var read *multipart.Form
		read, err = multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(1 << 20)
		if err == nil {
			v = lists(read.Value)
			err = read.RemoveAll()
		}
	case jsonTyped:
		err = json.Unmarshal(body, &v)
	default:
		err = fmt.Errorf("unsupported content type '%s'", contentType)
	}
	if err != nil {
		return nil, said{err}
	}
	return []interface{}{v, mimetype}, nil
}

// lists gives values as Lua has them: one as it is, several as a list.
func lists(values map[string][]string) map[string]interface{} {
	out := map[string]interface{}{}
	for name, list := range values {
		several := []interface{}{}
		for _, v := range list {
			several = append(several, v)
		}
		out[name] = several
		if len(several) == 1 {
			out[name] = several[0]
		}
	}
	return out
}

// format encodes a table as a body, and gives its Content-Type.
func format(contentType string, table map[string]interface{}) ([]byte, string, error) {
	mimetype, params, _ := mime.ParseMediaType(contentType)
	switch mimetype {
	case form:
		values := url.Values{}
		for name, v := range table {
			for _, text := range texts(v) {
				values.Add(name, text)
			}
		}
		return []byte(values.Encode()), contentType, nil
	case jsonTyped:
		body, err := json.Marshal(table)
		return body, contentType, err
	case parts:
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		if boundary := params["boundary"]; boundary != "" {
			if err := w.SetBoundary(boundary); err != nil {
				return nil, "", err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			part, err := w.CreateFormField(name)
			if err == nil {
				_, err = io.WriteString(part, fmt.Sprint(table[name]))
			}
			if err != nil {
				return nil, "", err
			}
		}
		err := w.Close()
		return b.Bytes(), w.FormDataContentType(), err
	}
	return nil, "", fmt.Errorf("unsupported content type '%s'", contentType)
}

func texts(v interface{}) (out []string) {
	list, ok := v.([]interface{})
	if !ok {
		list = []interface{}{v}
	}
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	return out
}
