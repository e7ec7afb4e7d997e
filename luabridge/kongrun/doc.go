// Package kongrun runs a Kong Gateway on this machine, for the tests and the
// demo: it starts the command kong that is on PATH, without a database, on free
// ports of the loopback and in a prefix of its own, and ends it again. Kong 3.4
// or newer, as packaged or built.
//
//	k, err := kongrun.Start(ctx, kongrun.Options{
//		Dir:     dir,
//		Plugins: []string{"hello"},
//		LuaPath: []string{"lua", "/usr/local/share/lua/5.1"},
//		Config:  kongrun.Config{"services": ...},
//	})
//	...
//	defer k.Stop(ctx)
//	http.Get(k.URL() + "/hello")
package kongrun
