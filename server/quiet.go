package server

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/gin-gonic/gin"
)

// building is how many servers of this process build their routes at this moment.
var building atomic.Int32

// Gin prints each route in debug mode. A program that mounts the server has routes of its own to
// print, and Gin's only switch is the process's. Only here, before any goroutine runs, is it set
// without a race.
func init() { gin.DebugPrintFunc = printOthers } //nolint:gochecknoinits // see above

// printOthers prints as Gin does by default, except while a server builds its routes.
func printOthers(format string, values ...any) {
	if building.Load() > 0 {
		return
	}
	fmt.Fprintf(gin.DefaultWriter, "[GIN-debug] "+strings.TrimSuffix(format, "\n")+"\n", values...)
}

// quietly builds routes without Gin's debug lines.
func quietly(build func() (*gin.Engine, error)) (*gin.Engine, error) {
	building.Add(1)
	defer building.Add(-1)
	return build()
}
