package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/kongring/kongring/server/pdk"
)

// strict decodes its config itself, takes no field of the plugin's own that it
// does not know, and as long as its name says, if that is a time.
type strict struct {
	Name string `json:"name"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *strict) UnmarshalJSON(text []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	for key := range fields {
		if key != "name" && !strings.HasPrefix(key, "__") && !strings.HasSuffix(key, "_id") {
			return fmt.Errorf("unknown field %q", key)
		}
	}
	_ = json.Unmarshal(fields["name"], &s.Name)
	if d, err := time.ParseDuration(s.Name); err == nil {
		time.Sleep(d)
	}
	return nil
}

// Access is a handler.
func (*strict) Access(*pdk.PDK) {}
