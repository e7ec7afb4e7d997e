package schema

import (
	"fmt"
	"strings"
)

// tagName is the key of the tags that are about Kong.
const tagName = "kong"

// item is a part of a tag: a name, and often a value.
type item struct {
	name, value string
	valued      bool
}

// list gives the parts of a value that a bar separates.
func (i item) list() []string { return strings.Split(i.value, "|") }

// parse takes a tag apart: name,name=value,name='value with a comma'. In quotes,
// a quote is doubled.
func parse(tag string) (items []item, err error) {
	for rest := tag; rest != ""; {
		var i item
		end := strings.IndexAny(rest, ",=")
		if end < 0 {
			end = len(rest)
		}
		i.name, rest = strings.TrimSpace(rest[:end]), rest[end:]
		if i.name == "" {
			return nil, fmt.Errorf("tag %q: a name is missing", tag)
		}
		if strings.HasPrefix(rest, "=") {
			i.valued = true
			if i.value, rest, err = value(rest[1:]); err != nil {
				return nil, fmt.Errorf("tag %q: %w", tag, err)
			}
		}
		if rest != "" {
			rest = rest[1:] // the comma
			if rest == "" {
				return nil, fmt.Errorf("tag %q: a name is missing", tag)
			}
		}
		items = append(items, i)
	}
	return items, nil
}

// value reads a value, and gives what is behind it, which is nothing or starts
// with a comma.
func value(text string) (value, rest string, err error) {
	if !strings.HasPrefix(text, "'") {
		value, _, _ = strings.Cut(text, ",")
		return value, text[len(value):], nil
	}
	for rest = text[1:]; ; rest = rest[1:] {
		part, behind, closed := strings.Cut(rest, "'")
		if !closed {
			return "", "", fmt.Errorf("a quote is not closed")
		}
		value, rest = value+part, behind
		if !strings.HasPrefix(rest, "'") {
			break
		}
		value += "'"
	}
	if rest != "" && rest[0] != ',' {
		return "", "", fmt.Errorf("%q behind a quote", rest)
	}
	return value, rest, nil
}
