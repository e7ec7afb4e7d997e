package root

import (
	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/benchmark"
	"github.com/kongring/kongring/server/cmd/internal/dev"
	"github.com/kongring/kongring/server/cmd/internal/doctor"
	"github.com/kongring/kongring/server/cmd/internal/install"
	"github.com/kongring/kongring/server/cmd/internal/scaffold"
	"github.com/kongring/kongring/server/cmd/internal/top"
	"github.com/kongring/kongring/server/cmd/internal/trace"
)

func commands() []*cobra.Command {
	return []*cobra.Command{
		benchmark.Command(), benchmark.Server(), dev.Command(), doctor.Command(), install.Command(), install.Uninstall(),
		scaffold.Command(), top.Command(), trace.Command(),
	}
}
