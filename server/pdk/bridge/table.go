package bridge

// ToTable runs the call and gives its result as a table with string keys, nil
// for nil.
func (c *Call) ToTable() (Table, error) {
	v, err := c.ToValue()
	if err != nil || v == nil {
		return nil, err
	}
	m, ok := v.(map[string]interface{})
	if !ok {
		return nil, ReturnTypeError("table")
	}
	return m, nil
}

// Table is a Lua table with string keys. Its getters give the zero value for
// what is absent or of another type.
type Table map[string]interface{}

// Text gives the string at k.
func (t Table) Text(k string) string {
	s, _ := t[k].(string)
	return s
}

// Number gives the number at k as an integer.
func (t Table) Number(k string) int {
	n, _ := t[k].(float64)
	return int(n)
}

// Bool gives the boolean at k.
func (t Table) Bool(k string) bool {
	b, _ := t[k].(bool)
	return b
}

// List gives the strings of the list at k, nil when it has none.
func (t Table) List(k string) []string {
	list, _ := t[k].([]interface{})
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Sub gives the table at k, nil when there is none.
func (t Table) Sub(k string) Table {
	m, _ := t[k].(map[string]interface{})
	return m
}

// Tables gives the tables of the list at k, nil when it has none.
func (t Table) Tables(k string) []Table {
	list, _ := t[k].([]interface{})
	var out []Table
	for _, e := range list {
		if m, ok := e.(map[string]interface{}); ok {
			out = append(out, m)
		}
	}
	return out
}
