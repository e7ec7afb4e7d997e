package schema

// Names gives all that tags may say.
func Names() (names []string) {
	for name := range attributes {
		names = append(names, name)
	}
	for name := range scopes {
		names = append(names, name)
	}
	return append(append(names, rules...), "mutually_exclusive_sets", "if", "then", "then_at_least_one_of", "protocols")
}
