package test

import (
	"context"
	"fmt"
	"testing"
)

// Try gives the environment of a request where there is no test: report gets
// what would fail one, in the goroutine that calls the PDK. What a plugin logs
// stands in Kong.Logs alone.
func Try(req Request, report func(failure string)) (*TestEnv, error) {
	return environment(reporter{report: report}, req)
}

// reporter has those methods of a test that a TestEnv calls.
type reporter struct {
	testing.TB // nil
	report     func(string)
}

func (r reporter) Errorf(format string, args ...any) { r.report(fmt.Sprintf(format, args...)) }
func (reporter) Helper()                             {}
func (reporter) Log(...any)                          {}
func (reporter) Logf(string, ...any)                 {}
func (reporter) Context() context.Context            { return context.Background() }
