package leaktest

import "time"

// SetPatience changes how long what is left may take to go away.
func SetPatience(d time.Duration) { patience = d }
