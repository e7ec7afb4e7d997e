package wire

// StartInstance is the body of a Start message: everything a plugin instance
// is made of.
//
//msgp:tuple StartInstance
type StartInstance struct {
	Plugin string // name of the plugin
	Key    string // of the plugin entity: its UUID in Kong
	Seq    int64  // number of the config in the worker (Kong's __seq__)
	Config []byte // JSON of the whole config table
}
