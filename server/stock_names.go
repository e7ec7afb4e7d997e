package server

import (
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/wire"
)

// stockName gives the name and the arguments by which a Kong without the bridge
// knows a PDK call. Kong walks the name through its own PDK, and has functions
// of its own for kong.ctx.shared, kong.nginx and kong.log.serialize; so all
// methods have the names of the table, but for kong.ctx.plugin, which is no
// function there: its values are kept in kong.ctx.shared, under keys that name
// the plugin entity.
func stockName(id wire.MethodID, args []byte, entity string) (string, []byte) {
	shared := wire.CtxSharedGet
	switch id {
	case wire.CtxPluginGet:
	case wire.CtxPluginSet:
		shared = wire.CtxSharedSet
	default:
		return id.String(), args
	}
	const array16 = 3 // bytes of the array's header, which is followed by the key
	key, rest, err := msgp.ReadStringBytes(args[array16:])
	if err != nil {
		return id.String(), args // it was written by the PDK
	}
	out := append(make([]byte, 0, len(args)+maxStockName), args[:array16]...)
	return shared.String(), append(msgp.AppendString(out, "kongring.plugin."+entity+"."+key), rest...)
}
