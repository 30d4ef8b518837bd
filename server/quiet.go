package server

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/gin-gonic/gin"
)

// building is how many servers build their routes at this moment, in the whole process as Gin's printing is.
var building atomic.Int32

// Gin prints each route in debug mode. A program that mounts the server has routes of its own to print, and Gin knows no other
// switch than the process's. Only here, before any goroutine runs, can the switch be set without a race.
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
