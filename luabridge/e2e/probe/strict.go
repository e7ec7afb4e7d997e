package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kongring/kongring/server/pdk"
)

// strict decodes its config itself, and takes no field of the plugin's own that
// it does not know.
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
	return nil
}

// Access is a handler.
func (*strict) Access(*pdk.PDK) {}
