// Package test runs a plugin's handlers in a unit test, without Kong. It has the
// shape of go-pdk's package of the same name:
//
//	env, err := test.New(t, test.Request{Method: "GET", Url: "http://example.com/?q=x"})
//	require.NoError(t, err)
//	env.DoHttp(&Config{Message: "hi"})
//	require.Equal(t, "hi", env.ClientRes.Headers.Get("x-hello"))
//
// A TestEnv is one request. Its handlers run in the test's goroutine, one phase
// after the other; what the request is like stands in ClientReq, what became of
// it in ServiceReq and ClientRes, and what else Kong knows in Kong, for tests to
// change. Every method of the PDK is there. A call that Kong would refuse, for
// its phase or its arguments, fails the test and ends the event with 500, as
// Kong does.
package test
