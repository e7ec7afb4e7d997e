package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unconditional are attributes that say nothing of a value.
var unconditional = []string{"default", "description", "encrypted", "err", "examples", "deprecation", "referenceable", "set"}

// conditional reads a rule about what a field's value asks of other fields:
// if=mode,if.eq=redis,then=host,then.required. Without if.eq or the like, it is
// that the field is set. A tag has one such rule.
func (m *maker) conditional(items []item, record table) error {
	c := condition{maker: m, record: record, matches: map[string]table{}, fields: map[string]string{}}
	for _, i := range items {
		if err := c.add(i); err != nil {
			return err
		}
	}
	if c.matches["if"] != nil { // Kong lets a field that is not set match all but eq
		c.matches["if"]["required"] = true
	}
	switch {
	case c.fields["if"] == "":
		return errors.New("want a field, and what it is: if=a,if.eq=x")
	case c.oneOf != nil && c.fields["then"] == "":
		addCheck(record, "conditional_at_least_one_of", table{
			"if_field": c.fields["if"], "if_match": c.matches["if"], "then_at_least_one_of": c.oneOf,
		})
	case c.oneOf == nil && len(c.matches["then"]) > 0:
		addCheck(record, "conditional", table{
			"if_field": c.fields["if"], "if_match": c.matches["if"],
			"then_field": c.fields["then"], "then_match": c.matches["then"],
		})
	default:
		return errors.New("want what follows from it: then=b,then.required or then_at_least_one_of=b|c")
	}
	return nil
}

// condition is such a rule while it is read.
type condition struct {
	maker   *maker
	record  table
	fields  map[string]string // by "if" and "then"
	matches map[string]table
	oneOf   []string
}

func (c *condition) add(i item) (err error) {
	part, attribute, inner := strings.Cut(i.name, ".")
	switch {
	case part == "then_at_least_one_of":
		c.oneOf, err = several(i.value, "|", c.record)
		return err
	case !inner && c.fields[part] != "":
		return fmt.Errorf("a tag has one %s; another stands on a field _ of its own", part)
	case !inner:
		_, err = named(i.value, "|", c.record)
		if err == nil && strings.Contains(i.value, "|") {
			err = fmt.Errorf("%q: want one field", i.value)
		}
		c.fields[part], c.matches[part] = i.value, table{}
		return err
	case c.fields[part] == "":
		return fmt.Errorf("%s: want %s=FIELD before it", i.name, part)
	case slices.Contains(unconditional, attribute) || strings.Contains(attribute, "."):
		return fmt.Errorf("%s: no condition", i.name)
	}
	d := maps.Clone(find(c.record, c.fields[part]))
	if err := c.maker.attribute(d, item{attribute, i.value, i.valued}); err != nil {
		return fmt.Errorf("%s: %w", i.name, err)
	}
	c.matches[part][attribute] = d[attribute]
	return nil
}
